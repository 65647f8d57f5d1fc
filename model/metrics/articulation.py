"""Articulation: how fast a mouth moves, whether it opens and closes in the right places, whether the lips close.

Curves of different units are normalised by the range of a reference: its 5th percentile is closed, its 95th open.
"""

from collections.abc import Sequence

import numpy as np

from model.metrics.picture import ratio

CLOSED, OPEN = 0.25, 0.45  # shares of the range: below is closed, above is open; in between the state is kept
SHUT = 0.25  # share of the range that lips may be apart at p, b and m
TOLERANCE_FRAMES = 2  # an event matches a true one up to this distance
STILL = 1e-5  # a smaller mean change per frame counts as none


def velocity_ratio(measured_T: np.ndarray, reference_T: np.ndarray) -> float:
    """Mean speed of the opening over the reference's; 1 is best, a mumble is below, jitter above; [0, 10].

    Misses: the timing of the movement.
    Shape:  (T,), (T,) in the same units
    """
    speeds = (
        float(np.abs(np.diff(c.astype(np.float64))).mean()) if len(c) > 1 else 0.0 for c in (measured_T, reference_T)
    )
    return ratio(*speeds, still=STILL)


def opened(curve_T: np.ndarray, closed_and_open: tuple[float, float]) -> np.ndarray:
    """The curve scaled to 0 (closed) to 1 (open).  Shape: (T,) -> (T,); all closed if the range is empty"""
    low, high = closed_and_open
    if high - low < STILL:
        return np.zeros(len(curve_T))
    return np.asarray((curve_T.astype(np.float64) - low) / (high - low))


def range_of(reference_T: np.ndarray) -> tuple[float, float]:
    """(closed, open): the 5th and the 95th percentile."""
    low, high = np.percentile(reference_T, [5, 95])
    return float(low), float(high)


def events(opened_T: np.ndarray) -> list[tuple[int, bool]]:
    """(frame, opens) of each opening and closing; with hysteresis, so that jitter at one level is no event."""
    is_open, changes = bool(opened_T[0] > OPEN), []
    for frame, value in enumerate(opened_T):
        if (is_open and value < CLOSED) or (not is_open and value > OPEN):
            is_open = not is_open
            changes.append((frame, is_open))
    return changes


def event_f1(measured_T: np.ndarray, truth_T: np.ndarray) -> float:
    """F1 of openings and closings within 2 frames of a true one of the same kind; 1 is best.

    Misses: how far it opens beyond the threshold; a delay of up to 2 frames.
    Shape:  (T,), (T,), each scaled to 0 (closed) to 1 (open) by `opened`
    """
    measured, true = events(measured_T), events(truth_T)
    if not measured and not true:
        return 1.0
    unmatched, hits = list(true), 0
    for frame, opens in measured:
        near = [event for event in unmatched if event[1] == opens and abs(event[0] - frame) <= TOLERANCE_FRAMES]
        if near:
            unmatched.remove(min(near, key=lambda event: abs(event[0] - frame)))
            hits += 1
    return 2 * hits / (len(measured) + len(true))


def closure(measured_T: np.ndarray, lips_meet: Sequence[tuple[int, int]]) -> float | None:
    """Share of the p, b and m at which the lips close; None if there is none.

    Misses: a mouth that never opens scores 1, and so does a mumble.
    Shape:  (T,) scaled by `opened`; (first frame, last frame + 1) of each sound, inside the clip
    """
    shut = [bool(measured_T[first:end].min() < SHUT) for first, end in lips_meet if end > first]
    return float(np.mean(shut)) if shut else None


def by_viseme(
    measured_T: np.ndarray, truth_T: np.ndarray, visemes: Sequence[tuple[str, int, int]]
) -> dict[str, tuple[int, float, float]]:
    """Viseme -> number of its frames, sum of |error| and sum of error of the opening: + is a mouth too far open.

    Misses: the shape beside the opening: rounded or spread.
    Shape:  (T,), (T,), each scaled to 0 (closed) to 1 (open) by `opened`; (viseme, first frame, last frame + 1)
    """
    error_T, sums = measured_T - truth_T, dict[str, tuple[int, float, float]]()
    for name, first, end in visemes:
        if end > first:
            num, absolute, signed = sums.get(name, (0, 0.0, 0.0))
            part_N = error_T[first:end]
            sums[name] = (num + end - first, absolute + float(np.abs(part_N).sum()), signed + float(part_N.sum()))
    return sums
