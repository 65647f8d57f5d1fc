"""How a mouth moves, beside when: how fast, whether it opens and closes at the right places, whether lips close.

Curves of different units are made comparable by the range of a reference: its 5th percentile is closed, its 95th open.
"""

from collections.abc import Sequence

import numpy as np

from model.metrics.picture import ratio

CLOSED, OPEN = 0.25, 0.45  # shares of the range: below is closed, above is open; between, what it was before
SHUT = 0.25  # share of the range that lips at p, b and m may be apart
TOLERANCE_FRAMES = 2  # an event this far from a true one is that one
STILL = 1e-5  # a mean change a frame below this is none


def velocity_ratio(measured_T: np.ndarray, reference_T: np.ndarray) -> float:
    """Mean speed of the opening over the reference's; 1 is best, a mumble is below, jitter above; [0, 10].

    Misses: when it moves.
    Shape:  (T,), (T,) in the same units
    """
    speeds = (
        float(np.abs(np.diff(c.astype(np.float64))).mean()) if len(c) > 1 else 0.0 for c in (measured_T, reference_T)
    )
    return ratio(*speeds, still=STILL)


def opened(curve_T: np.ndarray, closed_and_open: tuple[float, float]) -> np.ndarray:
    """The curve with its range made 0 (closed) to 1 (open).  Shape: (T,) -> (T,); all closed where there is no range"""
    low, high = closed_and_open
    if high - low < STILL:
        return np.zeros(len(curve_T))
    return np.asarray((curve_T.astype(np.float64) - low) / (high - low))


def range_of(reference_T: np.ndarray) -> tuple[float, float]:
    """What counts as closed and as open: the 5th and the 95th percentile."""
    low, high = np.percentile(reference_T, [5, 95])
    return float(low), float(high)


def events(opened_T: np.ndarray) -> list[tuple[int, bool]]:
    """(frame, opens) of each opening and closing; with hysteresis, so that trembling at one level is no event."""
    is_open, found = bool(opened_T[0] > OPEN), []
    for frame, value in enumerate(opened_T):
        if (is_open and value < CLOSED) or (not is_open and value > OPEN):
            is_open = not is_open
            found.append((frame, is_open))
    return found


def event_f1(measured_T: np.ndarray, truth_T: np.ndarray) -> float:
    """F1 of openings and closings within 2 frames of a true one of the same kind; 1 is best.

    Misses: how far it opens beyond the threshold; a delay of up to 2 frames.
    Shape:  (T,), (T,), each made 0 (closed) to 1 (open) by `opened`
    """
    found, wanted = events(measured_T), events(truth_T)
    if not found and not wanted:
        return 1.0
    left, hits = list(wanted), 0
    for frame, opens in found:
        near = [event for event in left if event[1] == opens and abs(event[0] - frame) <= TOLERANCE_FRAMES]
        if near:
            left.remove(min(near, key=lambda event: abs(event[0] - frame)))
            hits += 1
    return 2 * hits / (len(found) + len(wanted))


def closure(measured_T: np.ndarray, lips_meet: Sequence[tuple[int, int]]) -> float | None:
    """Share of the sounds made with closed lips (p, b, m) at which the lips close; None where there is none.

    Misses: a mouth that is never open has 1; a mumble too.
    Shape:  (T,) made 0 (closed) to 1 (open) by `opened`; (first frame, last frame + 1) of each sound, inside the clip
    """
    shut = [bool(measured_T[first:end].min() < SHUT) for first, end in lips_meet if end > first]
    return float(np.mean(shut)) if shut else None
