"""Sound for words that the source does not say, in this order: a recording given for them, the person's own footage, a
voice. Level and pitch are those of the place they go to.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.edit import changes, speech, tone
from tasks.edit.changes import TextWord
from tasks.edit.joins import Window
from tasks.edit.pieces import Origin
from tasks.edit.speech import Speech
from tasks.edit.units import Footage, Run, Wanted
from tasks.media.native_rate import SoundFormat

CONTEXT_S = 0.3  # of sound beside a stretch, for its joins
NEAR_S = 0.8  # levels are compared over so much to both sides
FOOTAGE_DB, FOOTAGE_PITCH = 6.0, 1.15  # by how much footage is changed at most; more would be heard
VOICE_PITCH = 1.7
TRIM_DB = 30.0  # below its level, a recording or a voice has not begun

Speak = Callable[[str, Path], None]  # a text, and the wav to write


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound of its final level, cut within two windows; `pitch` is still to be changed by this factor."""

    speech: Speech
    left: Window
    right: Window
    pitch: float = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """Words of one origin, and what says them; `source` names it for people."""

    origin: Origin
    words: tuple[TextWord, ...]
    stretches: tuple[Stretch, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Around:
    """Where new words go: the words beside them ("" at a pause), and the level and pitch there."""

    before: str
    after: str
    level_db: float
    pitch_hz: float


class NewWords:
    """Finds or makes the sound of new words for one source."""

    def __init__(
        self, source: Speech, transcript: str, like: SoundFormat, footage: Footage, recordings: Mapping[str, Path],
        speak: Speak,
    ) -> None:  # fmt: skip
        self._source, self._like, self._footage, self._speak = source, like, footage, speak
        self._transcript = transcript
        self._recordings = {
            tuple(word.said for word in changes.words_of(text)): demand_file(path, option="--recording")
            for text, path in recordings.items()
        }
        self.unused = set(self._recordings)

    def parts(self, words: Sequence[TextWord], around: Around) -> list[Part]:
        """What says the words, in their order.

        Errors: UserError where a recording has no sound, or the voice fails
        """
        parts: list[Part] = []
        at = 0
        while at < len(words):
            recorded = self._recorded(words, at)
            last = at + len(recorded) if recorded else self._unrecorded(words, at)
            before = words[at - 1].said if at else around.before
            after = words[last].said if last < len(words) else around.after
            place = Around(before, after, around.level_db, around.pitch_hz)
            some = tuple(words[at:last])
            parts += [self._recording(recorded, some, place)] if recorded else self._unspoken(some, place)
            at = last
        return parts

    def _recorded(self, words: Sequence[TextWord], at: int) -> tuple[str, ...] | None:
        """The longest of the recordings that says the words from `at` on."""
        said = tuple(word.said for word in words)
        fitting = [key for key in self._recordings if key and said[at : at + len(key)] == key]
        return max(fitting, key=len, default=None)

    def _unrecorded(self, words: Sequence[TextWord], at: int) -> int:
        return next((n for n in range(at + 1, len(words)) if self._recorded(words, n)), len(words))

    def _recording(self, key: tuple[str, ...], words: tuple[TextWord, ...], around: Around) -> Part:
        path = self._recordings[key]
        self.unused.discard(key)
        return Part("recording", words, (self._spoken(speech.read(path, self._like), around, str(path)),), path.name)

    def _unspoken(self, words: tuple[TextWord, ...], around: Around) -> list[Part]:
        """Footage for the words together; else for those that it has, and the voice for the others."""
        whole = self._from_footage(words, around)
        if whole or len(words) == 1:
            return [whole or self._voice(words, around)]
        has = [self._footage.find(Wanted((word.said,), "", "")) is not None for word in words]
        parts, first = [], 0
        for last in range(1, len(words) + 1):
            if last < len(words) and has[last] == has[first]:
                continue
            before = words[first - 1].said if first else around.before
            after = words[last].said if last < len(words) else around.after
            place = Around(before, after, around.level_db, around.pitch_hz)
            some = words[first:last]
            found = self._from_footage(some, place) if has[first] else None
            parts.append(found or self._voice(some, place))
            first = last
        return parts

    def _from_footage(self, words: tuple[TextWord, ...], around: Around) -> Part | None:
        wanted = Wanted(tuple(word.said for word in words), around.before, around.after, around.pitch_hz)
        runs = self._footage.find(wanted)
        if not runs:
            return None
        names = list(dict.fromkeys(run.clip.path.name for run in runs))
        return Part("footage", words, tuple(self._stretch(run, around) for run in runs), ", ".join(names))

    def _stretch(self, run: Run, around: Around) -> Stretch:
        sound, start_s, end_s = run.clip.speech, run.left.best_s, run.right.best_s
        own_db = sound.level_db(start_s - NEAR_S, end_s + NEAR_S)
        gain_db = float(np.clip(around.level_db - own_db, -FOOTAGE_DB, FOOTAGE_DB))
        pitch = _factor(around.pitch_hz, sound.pitch_hz(start_s, end_s), FOOTAGE_PITCH)
        return _cut(sound, gain_db, run.left, run.right, pitch)

    def _voice(self, words: tuple[TextWord, ...], around: Around) -> Part:
        said = self._said(" ".join(word.spelled for word in words))
        stretch = self._spoken(tone.filtered(said, self._equaliser), around, "the voice")
        start_s, end_s = stretch.left.best_s, stretch.right.best_s
        pitch = _factor(around.pitch_hz, stretch.speech.pitch_hz(start_s, end_s), VOICE_PITCH)
        return Part("voice", words, (Stretch(stretch.speech, stretch.left, stretch.right, pitch),), "voice")

    @cached_property
    def _equaliser(self) -> np.ndarray:
        """From the voice saying what the source says: the spectra of other words would differ by the words."""
        return tone.equaliser(self._said(self._transcript), self._source)

    def _said(self, text: str) -> Speech:
        with tempfile.TemporaryDirectory(prefix="edit-voice-") as folder:
            path = Path(folder) / "voice.wav"
            self._speak(text, path)
            return speech.read(path, self._like)

    def _spoken(self, sound: Speech, around: Around, name: str) -> Stretch:
        """A recording or a voice without the silence around it, at the level of the place, on its room tone."""
        loud = np.flatnonzero(sound.level_C > max(sound.level_C.max() - TRIM_DB, speech.FLOOR_DB + 10))
        if not len(loud):
            raise UserError(f"{name}: there is no sound in it")
        # to the column: room tone kept before and after is a gap that his own words do not have
        start_s, end_s = loud[0] * speech.COLUMN_S, min(sound.length_s, loud[-1] * speech.COLUMN_S)
        gain_db = around.level_db - sound.level_db(start_s, end_s)
        padded_CN = _padded(sound, 10 ** (gain_db / 20))
        padded_CN += tone.room_tone(self._source, padded_CN.shape[1])
        start_s, end_s = start_s + CONTEXT_S, end_s + CONTEXT_S
        left, right = (
            Window(start_s, start_s, start_s),
            Window(end_s, end_s, end_s),
        )
        return Stretch(tone.of_sound(padded_CN, sound.rate_hz), left, right)


def _padded(sound: Speech, gain: float) -> np.ndarray:
    pad = round(CONTEXT_S * sound.rate_hz)
    return np.pad(sound.sound_CN, ((0, 0), (pad, pad))) * np.float32(gain)


def _factor(wanted_hz: float, own_hz: float, most: float) -> float:
    return float(np.clip(wanted_hz / own_hz, 1 / most, most)) if wanted_hz and own_hz else 1.0


def _cut(sound: Speech, gain_db: float, left: Window, right: Window, pitch: float) -> Stretch:
    """A stretch of a recording with some context, its times counted from there."""
    from_s = max(0.0, round(left.low_s - CONTEXT_S, 2))
    some = tone.louder(sound, gain_db, from_s, min(sound.length_s, right.high_s + CONTEXT_S))
    return Stretch(
        some,
        Window(left.low_s - from_s, left.best_s - from_s, left.high_s - from_s),
        Window(right.low_s - from_s, right.best_s - from_s, right.high_s - from_s),
        pitch,
    )
