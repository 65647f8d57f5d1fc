"""Stretches of the source and new ones put together: sound to the sample, pieces to the frame.

The source's sound moves by whole steps of the picture only, so that what is kept stays in sync; new sound is stretched
by the rest, half a step at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.edit import joins, pieces, psola, tone
from tasks.edit.changes import Change
from tasks.edit.cuts import Cut
from tasks.edit.joins import Track, Window, fixed
from tasks.edit.new_words import Part, Stretch
from tasks.edit.pieces import Piece
from tasks.edit.speech import Speech

SYNC_S = joins.SHIFT_S  # by how much kept sound may lie off its picture, for waves that fit at a join
LEAST_KEPT_S = 0.02


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the words, where the source is cut for it, and what is put there."""

    change: Change
    cut: Cut
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Assembled:
    """spans_s: of each edit, what is left out of the source, from and to, and where that is in the edited video.

    joins_s: the middle of each crossfade
    """

    pieces: tuple[Piece, ...]
    sound_CN: np.ndarray
    spans_s: tuple[tuple[float, float, float], ...]
    joins_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A stretch with its ends found; `num_samples` it lasts in the edited sound.  stretch None: a pause"""

    stretch: Stretch | None
    start_s: float
    end_s: float
    part: int


class Assembly:
    """Puts one edited sound together."""

    def __init__(self, source: Speech, fps: float, words: Sequence[str]) -> None:
        self._source, self._fps, self._words = source, fps, words
        self._track = Track(len(source.sound_CN), source.rate_hz)
        self._pieces: list[Piece] = []
        self._kept_from = 0  # the source's sample from which it is kept
        self._kept_frame = 0  # the same on the picture's grid
        self._frames = 0  # by which the kept sound is later in the edited video
        self._early = 0  # samples by which it is earlier than its picture
        self._word = 0  # the first of the new text that is in no piece yet

    def run(self, edits: Sequence[Edit]) -> Assembled:
        spans_s = [self._apply(edit) for edit in edits]
        length = self._source.sound_CN.shape[1]
        self._keep(length, round(self._source.length_s * self._fps), len(self._words))
        if not self._pieces:
            return Assembled((), self._source.sound_CN[:, :0], tuple(spans_s))
        num_samples = self._samples(round(self._pieces[-1].end_s * self._fps))
        sound_CN = psola.within(self._track.sound_CN, 0, num_samples)
        return Assembled(pieces.joined(self._pieces), sound_CN, tuple(spans_s), tuple(self._track.joins_s))

    def _samples(self, frames: int) -> int:
        return round(frames * self._source.rate_hz / self._fps)

    def _apply(self, edit: Edit) -> tuple[float, float, float]:
        length_s, kept_s = self._source.length_s, self._kept_from / self._source.rate_hz
        left = _after(edit.cut.left or fixed(0.0), kept_s + LEAST_KEPT_S) if edit.cut.left else fixed(kept_s)
        right = edit.cut.right or fixed(length_s)
        if edit.parts:
            return self._replace(edit, left, right)
        x_s, y_s = joins.place(self._source, left, self._source, right, 1 / self._fps)
        frames = round((y_s - x_s) * self._fps)
        x = round(x_s * self._source.rate_hz)
        start_frame = self._keep(x, round(x_s * self._fps), edit.change.new_first)
        y = x + self._samples(self._frames) - self._samples(self._frames - frames)
        at_s = (start_frame + self._frames) / self._fps
        self._frames -= frames
        self._go_on(y, start_frame + frames)
        return start_frame / self._fps, (start_frame + frames) / self._fps, at_s

    def _replace(self, edit: Edit, left: Window, right: Window) -> tuple[float, float, float]:
        fitted, x_s, y_s = self._fit(edit, left, right)
        rate_hz = self._source.rate_hz
        natural_s = sum(one.end_s - one.start_s for one in fitted)
        frames = round((natural_s - (y_s - x_s)) * self._fps)
        x, y = round(x_s * rate_hz), round(y_s * rate_hz)
        start_frame = self._keep(x, round(x_s * self._fps), edit.change.new_first)
        end_frame = max(round(y_s * self._fps), start_frame - frames + 1)
        num_samples = (y + self._samples(self._frames + frames)) - self._track.num_samples
        ends = self._add(fitted, num_samples)
        at_frame = start_frame + self._frames
        self._frames += frames
        self._show(edit, ends, at_frame, end_frame + self._frames, start_frame, end_frame)
        self._early = 0
        self._go_on(y, end_frame)
        self._word = edit.change.new_last
        return start_frame / self._fps, end_frame / self._fps, at_frame / self._fps

    def _keep(self, last: int, last_frame: int, words_to: int) -> int:
        """The source up to sample `last` and its piece; the frame at which that ends."""
        if last > self._kept_from:
            self._track.append(self._source.sound_CN, self._kept_from, last)
            last_frame = max(last_frame, self._kept_frame + 1)
            start_s, end_s = self._kept_frame / self._fps, last_frame / self._fps
            from_s, to_s = ((frame + self._frames) / self._fps for frame in (self._kept_frame, last_frame))
            words = tuple(self._words[self._word : words_to])
            self._pieces.append(Piece("kept", words, from_s, to_s, start_s, end_s))
            self._word = words_to
            return last_frame
        return self._kept_frame

    def _go_on(self, sample: int, frame: int) -> None:
        """Keep the source from `sample` on, or some samples later where the waves fit better."""
        self._kept_from, self._kept_frame = sample, frame
        if self._track.num_samples and sample < self._source.sound_CN.shape[1]:
            tail_CN = self._track.tail()
            moved = joins.shift(tail_CN, tail_CN.shape[1] // 2, self._source.sound_CN, sample, self._source.rate_hz)
            if abs(self._early + moved) <= SYNC_S * self._source.rate_hz:
                self._early += moved
                self._kept_from += moved

    def _fit(self, edit: Edit, left: Window, right: Window) -> tuple[list[_Fitted], float, float]:
        """The ends of the source's stretches and of the new ones, each join at its best place."""
        stretches = [(number, stretch) for number, part in enumerate(edit.parts) for stretch in part.stretches]
        starts_s, ends_s = [], []
        before, window = self._source, left
        for _, stretch in stretches:
            end_s, start_s = joins.place(before, window, stretch.speech, stretch.left)
            ends_s.append(end_s)
            starts_s.append(start_s)
            before, window = stretch.speech, stretch.right
        x_s = ends_s.pop(0)
        inserted = edit.cut.left is not None and edit.cut.left == edit.cut.right
        end_s, y_s = joins.place(before, window, self._source, fixed(x_s) if inserted else right)
        ends_s.append(end_s)
        fitted = [
            _Fitted(stretch, start_s, end_s, number)
            for (number, stretch), start_s, end_s in zip(stretches, starts_s, ends_s, strict=True)
        ]
        if edit.cut.pause_before_s:
            fitted.insert(0, _Fitted(None, 0.0, edit.cut.pause_before_s, 0))
        if edit.cut.pause_after_s:
            fitted.append(_Fitted(None, 0.0, edit.cut.pause_after_s, fitted[-1].part))
        return fitted, x_s, max(x_s, y_s)

    def _add(self, fitted: Sequence[_Fitted], num_samples: int) -> list[int]:
        """Appends new stretches, `num_samples` in all; where each of the parts ends, samples of the edited sound."""
        rate_hz, begin = self._source.rate_hz, self._track.num_samples
        natural_N = np.cumsum([one.end_s - one.start_s for one in fitted])
        ends: dict[int, int] = {}
        for one, natural_end_s in zip(fitted, natural_N, strict=True):
            end = begin + round(num_samples * natural_end_s / natural_N[-1])
            self._append(one, end - self._track.num_samples, rate_hz)
            ends[one.part] = end
        return list(ends.values())

    def _append(self, one: _Fitted, num_samples: int, rate_hz: int) -> None:
        margin = round((joins.FADE_S + 2 * joins.SHIFT_S) * rate_hz)
        if one.stretch is None:
            tone_CN = tone.room_tone(self._source, num_samples + 2 * margin)
            self._track.append(tone_CN, margin, margin + num_samples)
            return
        first, last = round(one.start_s * rate_hz), round(one.end_s * rate_hz)
        sound_CN = psola.changed(
            one.stretch.speech, first - margin, last + margin, num_samples + 2 * margin, one.stretch.pitch
        )
        moved = 0
        if self._track.num_samples:
            tail_CN = self._track.tail()
            moved = joins.shift(tail_CN, tail_CN.shape[1] // 2, sound_CN, margin, rate_hz)
        self._track.append(sound_CN, margin + moved, margin + moved + num_samples)

    def _show(
        self, edit: Edit, ends: Sequence[int], first: int, last: int, source_first: int, source_last: int
    ) -> None:
        """The pieces of the new parts: frames first .. last of the edited video."""
        if source_last <= source_first:  # an insertion: shown with what lies around it
            half = (last - first + 1) // 2
            whole = round(self._source.length_s * self._fps)
            source_first, source_last = max(0, source_first - half), min(whole, source_first + half)
        groups = _in_frames(edit.parts, [round(end / self._source.rate_hz * self._fps) for end in ends], first, last)
        step = (source_last - source_first) / (last - first)
        for part, words, start, end in groups:
            source_s = (round(source_first + (frame - first) * step) / self._fps for frame in (start, end))
            self._pieces.append(Piece(part.origin, words, start / self._fps, end / self._fps, *source_s))


def _after(window: Window, time_s: float) -> Window:
    """The window without what lies before a time."""
    return Window(max(window.low_s, time_s), max(window.best_s, time_s), max(window.high_s, time_s))


def _in_frames(
    parts: Sequence[Part], ends: Sequence[int], first: int, last: int
) -> list[tuple[Part, tuple[str, ...], int, int]]:
    """Each part with its first and last frame; a part shorter than a frame goes to the one before or after it."""
    groups: list[tuple[Part, tuple[str, ...], int, int]] = []
    waiting: tuple[str, ...] = ()
    for number, (part, end) in enumerate(zip(parts, [*ends[:-1], last], strict=True)):
        start = groups[-1][3] if groups else first
        end = min(max(end, start), last)
        words = waiting + tuple(word.spelled for word in part.words)
        if end > start:
            groups.append((part, words, start, end))
            waiting = ()
        elif groups and number + 1 == len(parts):
            before, spoken, begin, finish = groups[-1]
            groups[-1] = (before, spoken + words, begin, finish)
        else:
            waiting = words
    return groups
