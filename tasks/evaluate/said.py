"""What is said when in a test clip: as the embedded corpus was rendered, or aligned from the clip's transcript.

Where a corpus has times of words (LRS2's pretrain, GRID), these hold and only the phones within each word are aligned.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from model import visemes
from model.metrics import bilabials
from model.visemes import Timed
from tasks.core.errors import UserError
from tasks.words.align import LOW, Aligner, Word, spoken

TEXT = "TEXT:"


def said(truth: dict[str, Any] | None, transcript: str, sound: Callable[[], np.ndarray] | None) -> list[Timed]:
    """The visemes of a clip; none where nobody knows what is said, or the aligner is not installed.

    truth       of the embedded corpus: `phones`, lists of [label, start_s, end_s]
    transcript  as a shard of data/raw has it; "" if there is none
    sound       gives the clip's sound, and is called only if it is needed.  Shape: -> (N,) at 16 kHz
    """
    if truth and truth.get("phones"):
        return [
            viseme
            for label, start_s, end_s in truth["phones"]
            for viseme in visemes.timed(visemes.of_espeak(label), start_s, end_s)
        ]
    text = text_of(transcript)
    if not text or not sound or not (align := aligner()):
        return []
    try:
        words = align(sound(), text)
    except UserError:  # a word that the dictionary lacks, another language: the clip has nothing to measure
        return []
    return of_words(words, bilabials.word_times(transcript))


def lips_meet(known: list[Timed], transcript: str) -> list[tuple[float, float]]:
    """(start, end) in s of every p, b and m: of known visemes, else estimated from the times of words."""
    if known:
        return [(start_s, end_s) for name, start_s, end_s in known if name == visemes.CLOSED]
    return bilabials.spans_s(transcript)


def of_words(words: list[Word], times_s: list[tuple[str, float, float]]) -> list[Timed]:
    """The visemes of the words that are probably said; a word's own time, where there is one, holds."""
    own = {k: (start_s, end_s) for k, (_, start_s, end_s) in enumerate(times_s)}
    if [word.word for word in words] != spoken(" ".join(word for word, *_ in times_s)):
        own = {}
    found: list[Timed] = []
    for k, word in enumerate(words):
        if word.confidence < LOW:
            continue
        start_s, end_s = own.get(k, (word.start_s, word.end_s))
        scale = (end_s - start_s) / max(word.end_s - word.start_s, 1e-6)
        for phone in word.phones:
            bounds_s = [start_s + (at_s - word.start_s) * scale for at_s in (phone.start_s, phone.end_s)]
            found += visemes.timed(visemes.of_arpabet(phone.name), bounds_s[0], bounds_s[1])
    return found


def text_of(transcript: str) -> str:
    """The words of a transcript: its `Text:` line, or all of it."""
    lines = transcript.splitlines()
    named = [line[len(TEXT) :] for line in lines if line.upper().startswith(TEXT)]
    return " ".join(" ".join(named or lines).split())


@functools.cache
def aligner() -> Aligner | None:
    """None where the extra `words` is not installed; `how` says so."""
    try:
        return Aligner()
    except UserError:
        return None


def how(known: bool, measured: bool) -> str:
    """How the times of sounds were found, for the report."""
    if known:
        return "known from the rendering"
    if measured:
        return "aligned from the transcripts by PocketSphinx, within the corpus's own times of words where it has them"
    return "unknown: the clips have no English transcript, or the extra `words` is not installed"
