"""Which source frame each frame of the edited video shows: kept pieces as filmed, new pieces retimed to fit.

A new piece plays its footage slower or faster within bounds. Where that is not enough it goes back and forth, turning
gently; where there is far too much, it begins at one end and ends at the other, with a cut between. It starts where
the piece before ends and ends where the one after begins, so the head does not jump.

Shape letters: N frames of the edited video, T of the source
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.edit.pieces import Piece

SLOWEST, FASTEST = 0.6, 1.5  # of footage that is retimed: slower is seen as slow motion
STROLL = 0.8  # speed of footage that goes back and forth
TURN_S = 0.24  # over which it changes direction
LEG_S = 2.0  # the longest way back: a longer piece turns more often
STEADY = 0.25  # of a frame: intervals that differ by less are of one frame rate, with rounded time stamps


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of the edited video.

    Shape: times_s, ends_s (N,); at_N float, the source frame that each shows: whole numbers in kept pieces, others are
           between two frames; piece_N int, the piece each belongs to; new_N bool, not of a kept piece
    """

    times_s: np.ndarray
    ends_s: np.ndarray
    at_N: np.ndarray
    piece_N: np.ndarray
    new_N: np.ndarray


def frames(pieces: Sequence[Piece], times_s: np.ndarray, ends_s: np.ndarray, shots: Sequence[int]) -> Frames:
    """times_s, ends_s: of the source's frames.  shots: first frame of each"""
    starts_s, lasting_s = output_times(pieces, times_s, ends_s)
    middles_s = starts_s + lasting_s / 2
    piece_N = np.searchsorted([piece.end_s for piece in pieces[:-1]], middles_s, side="right")
    at_N = np.zeros(len(starts_s))
    new_N = np.array([not piece.kept for piece in pieces])[piece_N]
    period_s = float(np.median(lasting_s))
    for number in range(len(pieces)):
        mine = piece_N == number
        if pieces[number].kept and mine.any():
            at_N[mine] = as_filmed(pieces[number], middles_s[mine], times_s, ends_s)
    for low, high in runs(new_N):
        first, last = footage_of(pieces, piece_N, at_N, low, high, times_s)
        at_N[low:high] = retimed(first, last, high - low, shot_of(shots, len(times_s), first, last), period_s)
    return Frames(starts_s, starts_s + lasting_s, at_N, piece_N, new_N)


def is_steady(times_s: np.ndarray) -> bool:
    """Whether a video has one frame rate."""
    steps_s = np.diff(times_s)
    return bool(len(steps_s) == 0 or np.abs(steps_s - np.median(steps_s)).max() < STEADY * np.median(steps_s))


def output_times(pieces: Sequence[Piece], times_s: np.ndarray, ends_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and duration of each output frame: the source's frame rate; where that varies, kept frames last as long as
    in the source.
    """
    total_s = pieces[-1].end_s
    if is_steady(times_s):
        period_s = float(ends_s[-1] - times_s[0]) / len(times_s)
        num = max(1, round(total_s / period_s))
        return np.arange(num) * period_s, np.full(num, period_s)
    usual_s = float(np.median(ends_s - times_s))
    starts: list[float] = []
    for piece in pieces:
        if piece.kept:
            inside = (times_s > piece.source_start_s) & (times_s < piece.source_end_s)
            mine = [piece.start_s, *(piece.start_s + times_s[inside] - piece.source_start_s)]
        else:
            num = max(1, round((piece.end_s - piece.start_s) / usual_s))
            mine = list(piece.start_s + np.arange(num) * (piece.end_s - piece.start_s) / num)
        starts += [start for start in mine if not starts or start > starts[-1] + STEADY * usual_s]
    starts_s = np.array(starts)
    return starts_s, np.diff(np.append(starts_s, total_s))


def as_filmed(piece: Piece, middles_s: np.ndarray, times_s: np.ndarray, ends_s: np.ndarray) -> np.ndarray:
    """The source frames of a kept piece: one after the other at a steady rate, else those on screen at these times."""
    at_s = middles_s - piece.start_s + piece.source_start_s
    if is_steady(times_s):
        period_s = float(ends_s[-1] - times_s[0]) / len(times_s)
        first = np.floor(np.median(at_s / period_s - np.arange(len(at_s))) + 1e-6)
        at = first + np.arange(len(at_s))
    else:
        at = np.searchsorted(times_s, at_s + 1e-9, side="right") - 1.0
    return np.asarray(np.clip(at, 0, len(times_s) - 1))


def runs(flags_N: np.ndarray) -> list[tuple[int, int]]:
    """First and end (exclusive) of each run of True."""
    bounds = np.flatnonzero(np.diff(flags_N.astype(np.int8), prepend=0, append=0))
    return [(int(low), int(high)) for low, high in bounds.reshape(-1, 2)]


def footage_of(
    pieces: Sequence[Piece], piece_N: np.ndarray, at_N: np.ndarray, low: int, high: int, times_s: np.ndarray
) -> tuple[float, float]:
    """First and last source frame of the new frames low .. high - 1: those between the kept frames on either side,
    and where there is none, the footage that their pieces name.
    """
    numbers = np.arange(len(times_s))
    first = np.interp(pieces[piece_N[low]].source_start_s, times_s, numbers) if low == 0 else at_N[low - 1] + 1
    last = np.interp(pieces[piece_N[high - 1]].source_end_s, times_s, numbers) if high == len(at_N) else at_N[high] - 1
    return float(first), float(last)


def shot_of(shots: Sequence[int], num: int, first: float, last: float) -> tuple[int, int]:
    """First and last frame of the shots in which a stretch of footage lies; of a point, the shot before it."""
    low, high = (first, last) if last >= first else (last, last)
    low, high = np.clip([low, high], 0, num - 1)
    starts = np.array([*shots, num])
    begin = starts[np.searchsorted(starts, low, side="right") - 1]
    return int(begin), int(starts[np.searchsorted(starts, high, side="right")]) - 1


def retimed(first: float, last: float, num: int, within: tuple[int, int], period_s: float) -> np.ndarray:
    """Positions in the source of `num` frames that go from frame `first` to frame `last`.  Shape: -> (num,)

    within: the first and last frame that may be shown
    """
    speed = (last - first + 1) / num
    if SLOWEST <= speed <= FASTEST:
        at = first + np.arange(num) * ((last - first) / max(1, num - 1))
    elif speed > FASTEST:
        steps = np.arange(num)
        at = np.where(steps < num // 2, first + steps, last - (num - 1 - steps))
    else:
        at = strolled(first, last, num, period_s)
    return folded(at, *within)


def strolled(first: float, last: float, num: int, period_s: float) -> np.ndarray:
    """Forwards, back, and forwards again from `first` to `last`, as often as needed."""
    legs = max(1, int(np.ceil(num * period_s / (2 * LEG_S))))
    phase = np.arange(num + 1) * legs / (num + 1) % 1
    back = (1 - (last - first + 2) / (STROLL * (num + 1))) / 2  # share of the time
    speed = np.where(np.abs(phase - 0.5) < back / 2, -STROLL, STROLL)
    turn = max(1, min(round(TURN_S / period_s), num // (4 * legs)))
    window = np.hanning(turn + 2)
    padded = np.concatenate([np.full(turn, STROLL), speed, np.full(turn, STROLL)])
    speed = np.convolve(padded, window / window.sum(), "same")[turn:-turn]
    steps = np.cumsum(speed)
    steps += ((last + 2 - first) - steps[-1]) * np.arange(1, num + 2) / (num + 1)  # what smoothing left over
    return np.asarray(first - 1 + steps[:num])


def folded(at: np.ndarray, low: int, high: int) -> np.ndarray:
    """Positions beyond the footage are mirrored back into it."""
    if high <= low:
        return np.full(len(at), float(low))
    span = high - low
    return np.asarray(low + span - np.abs((at - low) % (2 * span) - span))
