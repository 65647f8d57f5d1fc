"""English text aligned to its recording: start, end and confidence of every word and phone.

PocketSphinx finds the most likely way through the text's phones (forced alignment), with a pause allowed between any
two words. How well a word fits is the distance of its acoustic score from that of the best sequence of any phones over
the same frames: near 0 where the word is said, far below it where something else is.

Source:  CMU's en-us acoustic model and dictionary, which the package carries (BSD licence)
Differs: A word after a pause starts at most STOP_S before the level rises; the aligner takes breath and room noise for
         the first consonant. Measured: `python -m benchmarks.words`, docs/words.md.
"""

import functools
import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.timing import SAMPLE_RATE_HZ
from tasks.core.errors import UserError

FRAME_S = 0.01  # PocketSphinx's
BEAM = 1e-300  # wide: of a text that is partly not what is said, the rest must still be found
STOP_S = 0.06  # the silent part of p, t or k before its burst
RISE_DB = 12.0  # above the noise floor: speech
FLOOR_PERCENT = 10  # the share of frames that are taken to be no speech
LOUD_FRAMES = 3
HALF_SCORE, SCORE_SPREAD = -26.0, 8.0  # a word's score, in its own units a frame, at confidence 0.5; slope
LOW = 0.5  # confidence below which a word is probably not what is said


@dataclass(frozen=True, slots=True)
class Phone:
    """name: ARPAbet, without stress.  Times in s from the start of the recording"""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Word:
    """confidence: 0 .. 1, that this word is what is said"""

    word: str
    start_s: float
    end_s: float
    confidence: float
    phones: tuple[Phone, ...]


class Aligner:
    """Aligns one recording after another; its models take about a second to load.

    Errors: UserError where the package is missing
    """

    def __init__(self) -> None:
        self._forced, self._free = _decoder(), _decoder(allphone=_phone_model(), lw=2.0, lm=None, dict=None)

    def __call__(self, sound_N: np.ndarray, text: str) -> list[Word]:
        """Shape: (N,) at 16 kHz, -1 .. 1.  One Word for each of `spoken(text)`

        Errors: UserError for a text without words, with words that the dictionary lacks, or that cannot be aligned
        """
        words = self.demand_known(spoken(text))
        pcm = np.round(np.clip(sound_N, -1, 1) * 32767).astype("<i2").tobytes()
        self._forced.set_align_text(" ".join(words))
        scores_T, found = _decoded(self._forced, pcm)
        if [plain(name) for name, _, _ in found] != words:
            length_s = len(sound_N) / SAMPLE_RATE_HZ
            raise UserError(f"the text cannot be aligned to this recording of {length_s:.1f} s; is it what is said?")
        phones = self._phones(pcm)
        free_T = _decoded(self._free, pcm)[0]
        shared = min(len(scores_T), len(free_T))
        fits_T = scores_T[:shared] - free_T[:shared]
        starts_s = late_starts(sound_N, [(first * FRAME_S, last * FRAME_S) for _, first, last in found])
        return [
            _word(word, start_s, last * FRAME_S, float(fits_T[first:last].mean()), of_word)
            for word, (_, first, last), start_s, of_word in zip(words, found, starts_s, phones, strict=True)
        ]

    def demand_known(self, words: Sequence[str]) -> list[str]:
        if not words:
            raise UserError("the text has no words")
        lacking = sorted({word for word in words if self._forced.lookup_word(word) is None})
        if lacking:
            raise UserError(
                f"not in the English dictionary: {', '.join(lacking[:5])}{' ...' if len(lacking) > 5 else ''}; "
                "write them as English words, and numbers as they are said"
            )
        return list(words)

    def phones_of(self, word: str) -> tuple[str, ...]:
        """The phones of a word's first pronunciation; none if the dictionary lacks it."""
        return tuple((self._forced.lookup_word(word) or "").split())

    def _phones(self, pcm: bytes) -> list[tuple[Phone, ...]]:
        """The phones of every word; call after the words are aligned."""
        self._forced.set_alignment()
        _run(self._forced, pcm)
        return [
            tuple(Phone(p.name, p.start * FRAME_S, (p.start + p.duration) * FRAME_S) for p in word)
            for word in self._forced.get_alignment()
            if _is_word(word.name)
        ]


def spoken(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; "it's" and "o'clock" are one word."""
    straight = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return [word for word in (part.strip("'") for part in re.findall(r"[^\W_]+(?:'[^\W_]+)*", straight)) if word]


def plain(name: str) -> str:
    """A dictionary entry without the number of its pronunciation: white(2) is white."""
    return name.partition("(")[0]


@functools.cache
def package() -> Any:
    try:
        return importlib.import_module("pocketsphinx")
    except ImportError as error:
        raise UserError("aligning words needs the extra `words`: pip install pocketsphinx") from error


def _phone_model() -> str:
    return os.path.join(package().get_model_path(), "en-us", "en-us-phone.lm.bin")


def _decoder(**settings: Any) -> Any:
    beams = {"beam": BEAM, "pbeam": BEAM, "wbeam": BEAM}
    return package().Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL", bestpath=False, **beams | settings)


def _run(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _decoded(decoder: Any, pcm: bytes) -> tuple[np.ndarray, list[tuple[str, int, int]]]:
    """Score of each frame, that of its segment spread over it, and the words as (name, first, last + 1)."""
    _run(decoder, pcm)
    segments = list(decoder.seg() or [])
    scores_T = np.zeros(1 + max((segment.end_frame for segment in segments), default=0))
    for segment in segments:
        frames = slice(segment.start_frame, segment.end_frame + 1)
        scores_T[frames] = np.log(max(segment.ascore, 1e-300)) / 1e-4 / max(1, frames.stop - frames.start)
    return scores_T, [(s.word, s.start_frame, s.end_frame + 1) for s in segments if _is_word(s.word)]


def _is_word(name: str) -> bool:
    return name[0] not in "<[+"


def late_starts(sound_N: np.ndarray, spans_s: Sequence[tuple[float, float]]) -> list[float]:
    """The start of each word; after a pause not earlier than STOP_S before the level rises.

    Shape: (N,) at 16 kHz
    """
    hop = round(SAMPLE_RATE_HZ * FRAME_S)
    blocks_TN = sound_N[: len(sound_N) // hop * hop].reshape(-1, hop)
    level_T = np.convolve(10 * np.log10((blocks_TN**2).mean(axis=1) + 1e-9), np.ones(3) / 3, "same")
    loud_T = np.asarray(level_T > np.percentile(level_T, FLOOR_PERCENT) + RISE_DB)
    steady_T = np.asarray(np.lib.stride_tricks.sliding_window_view(loud_T, LOUD_FRAMES).all(axis=1))
    starts_s, before_s = [], -1.0
    for start_s, end_s in spans_s:
        rises = np.flatnonzero(steady_T[round(start_s / FRAME_S) : round(end_s / FRAME_S)])
        if start_s > before_s + FRAME_S / 2 and len(rises):
            start_s = max(start_s, start_s + rises[0] * FRAME_S - STOP_S)
        starts_s.append(start_s)
        before_s = end_s
    return starts_s


def _word(word: str, start_s: float, end_s: float, score: float, phones: tuple[Phone, ...]) -> Word:
    confidence = 1 / (1 + np.exp(-(score - HALF_SCORE) / SCORE_SPREAD))
    times_s = [(max(start_s, phone.start_s), max(start_s, phone.end_s)) for phone in phones]
    placed = tuple(
        Phone(phone.name, round(first_s, 3), round(last_s, 3))
        for phone, (first_s, last_s) in zip(phones, times_s, strict=True)
    )
    return Word(word, round(start_s, 3), round(end_s, 3), round(float(confidence), 3), placed)
