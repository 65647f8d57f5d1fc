"""The sound of an edited video: from a source, what is said in it and a new text to pieces and their sound."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.timing import FPS
from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.edit import changes, cuts, footage, psola, speech
from tasks.edit.assembly import Assembly, Edit
from tasks.edit.changes import Change, TextWord
from tasks.edit.cuts import Cut
from tasks.edit.footage import Clip
from tasks.edit.new_words import NEAR_S, Around, NewWords
from tasks.edit.pieces import Piece
from tasks.edit.speech import Speech
from tasks.edit.units import Footage
from tasks.media import decode, native_rate
from tasks.media.containers import MediaError
from tasks.media.native_rate import SoundFormat
from tasks.voices import speech as text_to_speech
from tasks.words.align import LOW, Aligner, Word

LEAST_S = 1.0  # of video that an edit leaves
FINEST_FPS = 20  # a video of fewer pictures a second is cut between them too
PITCH_NEAR_S = 0.6
REFERENCE = 40  # words of the transcript that the voice also says, for its equaliser
LONG_RUN = 3  # new words from which on the pitch is that of the whole source, not of the place
SHOWN = 5  # words in an error


@dataclass(frozen=True, slots=True)
class Made:
    """One change, for people and for the record: `removed` at start_s .. end_s of the source, `added` by `origins`."""

    removed: tuple[str, ...]
    added: tuple[str, ...]
    origins: tuple[str, ...]
    source_start_s: float
    source_end_s: float
    at_s: float  # in the edited video


@dataclass(frozen=True, slots=True)
class Edited:
    """pieces: end to end, as `made` promises; sound_NC: (samples, channels) float32; notes: lines for people;
    joins_s: the middle of every crossfade
    """

    pieces: tuple[Piece, ...]
    sound_NC: np.ndarray
    rate_hz: int
    changes: tuple[Made, ...]
    notes: tuple[str, ...]
    joins_s: tuple[float, ...] = ()


def made(
    source: Path,
    transcript: str | Sequence[Word],
    new_text: str,
    *,
    recordings: Mapping[str, Path] | None = None,
    library: Sequence[Path] = (),
    tts: str | None = None,
    voice: str | None = None,
    force: bool = False,
    aligner: Aligner | None = None,
) -> Edited:
    """The source as if it said the new text.

    transcript: what is said, or its words with times (and phones), which are then taken as they are
    recordings: words of the new text, and the file that says them
    library: more videos of the person, each with a transcript beside it (tasks/edit/footage.py)
    tts, voice: as `lipgan dub --tts --voice`
    force: also cut at words that are probably not what is said

    What the picture can rely on. All times of pieces are multiples of one step from 0: the frame duration of the source
    as its header states it, or a whole part of it below FINEST_FPS. A kept piece is exactly as long in the source. The
    last piece ends where the source ends or before, to a frame. The sound is as long as the pieces, to a sample; the
    sound of a kept piece is that of its span of the source, at most `assembly.SYNC_S` early or late, and its joins lie
    within half a step and `joins.FADE_S` of the piece's ends. A new piece's source span is the footage it replaces, or
    the footage around an insertion.

    Errors: UserError
    """
    aligner = aligner or Aligner()
    old, new = (
        (
            [TextWord(word.word, word.word) for word in transcript]
            if not isinstance(transcript, str)
            else changes.words_of(transcript)
        ),
        changes.words_of(new_text),
    )
    changed = changes.between(old, new)
    like, sound, fps = _source(demand_file(source))
    words = list(transcript) if not isinstance(transcript, str) else aligner(sound.mono_N, _text(old, aligner))
    notes = _demand_said(words, changed, force)
    clips = [Clip.of_source(source, sound, words, like, aligner), *footage.library(library, like, aligner)]
    maker = NewWords(
        sound, " ".join(word.spelled for word in old[:REFERENCE]), like, Footage(clips, aligner), recordings or {},
        lambda text, out: text_to_speech.speak(text, out, tts, voice, text_to_speech.ENGLISH),
    )  # fmt: skip
    edits = [_edit(change, words, sound, old, new, maker) for change in changed]
    if maker.unused:
        raise UserError(f"--recording {' '.join(min(maker.unused))!r}: the new text does not add these words")
    assembly = Assembly(sound, fps, [word.spelled for word in new])
    result = assembly.run(edits)
    _demand_length(result.pieces)
    records = _records(edits, result.spans_s, words, new)
    return Edited(result.pieces, result.sound_CN.T, sound.rate_hz, records, notes, result.joins_s)


def _source(path: Path) -> tuple[SoundFormat, Speech, float]:
    """The sound, as long as the video, and the number of steps a second on which pieces begin."""
    try:
        like, probe = native_rate.sound_format(path), decode.probe(path)
    except MediaError as error:
        raise UserError(f"{path}: {error}") from error
    sound = speech.read(path, like)
    fps = probe.fps if probe.has_video and probe.fps > 0 else FPS
    grid_fps = fps * math.ceil(FINEST_FPS / fps)
    length_s = probe.duration_s if probe.has_video and probe.duration_s > 0 else sound.length_s
    num_samples = round(math.floor(length_s * fps + 0.5) / fps * like.rate_hz)
    return like, Speech(psola.within(sound.sound_CN, 0, num_samples), like.rate_hz, sound.mono_N), grid_fps


def _text(old: Sequence[TextWord], aligner: Aligner) -> str:
    """The transcript for the aligner.

    Errors: UserError if it seems to be in another language
    """
    known = [bool(aligner.phones_of(word.said)) for word in old]
    if 2 * sum(known) < len(known):
        raise UserError(
            f"{len(known) - sum(known)} of {len(known)} words of the transcript are not English; "
            "words can be aligned in English alone"
        )
    return " ".join(word.said for word in old)


def _demand_said(words: Sequence[Word], changed: Sequence[Change], force: bool) -> tuple[str, ...]:
    """Notes on words that are probably not what is said.

    Errors: UserError where one of them would be cut, or most are, without `force`
    """
    low = [number for number, word in enumerate(words) if word.confidence < LOW]
    cut = {number for one in changed for number in _touched(one, len(words))}
    doubtful = [number for number in low if number in cut]
    if not force and (doubtful or 2 * len(low) > len(words)):
        named = _named(words, doubtful or low)
        what = "cut here" if doubtful else f"said: {len(low)} of {len(words)} words"
        raise UserError(f"the transcript is probably not what is {what}: {named}; correct it, or --force")
    return tuple(f"probably not said: {_named(words, [number])}" for number in low)


def _touched(change: Change, num_words: int) -> range:
    """The words that a change removes, or those beside an insertion."""
    if change.first < change.last:
        return range(change.first, change.last)
    return range(max(0, change.first - 1), min(num_words, change.first + 1))


def _named(words: Sequence[Word], numbers: Sequence[int]) -> str:
    names = [f"{words[n].word!r} at {words[n].start_s:.2f} s ({words[n].confidence:.2f})" for n in numbers[:SHOWN]]
    return ", ".join(names) + (" ..." if len(numbers) > SHOWN else "")


def _edit(
    change: Change, words: Sequence[Word], sound: Speech, old: Sequence[TextWord], new: Sequence[TextWord],
    maker: NewWords,
) -> Edit:  # fmt: skip
    cut = cuts.of_change(change, words, sound.length_s, new)
    added = new[change.new_first : change.new_last]
    parts = maker.parts(added, _around(change, cut, words, sound)) if added else []
    return Edit(change, cut, tuple(parts))


def _around(change: Change, cut: Cut, words: Sequence[Word], sound: Speech) -> Around:
    start_s = cut.left.best_s if cut.left else 0.0
    end_s = cut.right.best_s if cut.right else sound.length_s
    before = words[change.first - 1].word if change.first and not cut.pause_before_s else ""
    after = words[change.last].word if change.last < len(words) and not cut.pause_after_s else ""
    pitch_hz = sound.pitch_hz(start_s, end_s) if end_s > start_s else 0.0
    pitch_hz = pitch_hz or sound.pitch_hz(start_s - PITCH_NEAR_S, end_s + PITCH_NEAR_S)
    if change.new_last - change.new_first >= LONG_RUN or not pitch_hz:
        pitch_hz = sound.pitch_hz(0.0, sound.length_s)
    near = sound.columns(start_s - NEAR_S, end_s + NEAR_S)
    speech_near = sound.speech_C[near].any()
    level_db = sound.level_db(*((start_s - NEAR_S, end_s + NEAR_S) if speech_near else (0.0, sound.length_s)))
    return Around(before, after, level_db, pitch_hz)


def _demand_length(pieces: Sequence[Piece]) -> None:
    length_s = pieces[-1].end_s if pieces else 0.0
    if length_s < LEAST_S:
        raise UserError(f"the edit leaves {length_s:.2f} s of video; wanted at least {LEAST_S:g} s")


def _records(
    edits: Sequence[Edit], spans_s: Sequence[tuple[float, float, float]], words: Sequence[Word], new: Sequence[TextWord]
) -> tuple[Made, ...]:
    return tuple(
        Made(
            tuple(word.word for word in words[edit.change.first : edit.change.last]),
            tuple(word.spelled for word in new[edit.change.new_first : edit.change.new_last]),
            tuple(f"{part.origin}: {part.source}" for part in edit.parts),
            *span,
        )
        for edit, span in zip(edits, spans_s, strict=True)
    )
