"""The panel read as a whole: which checks a way of filling the frames passes, and which way is the best.

Every way to game one metric fails another: a frozen mouth does not follow, a mumble does not open, a right mouth at
the wrong time is late. Real video passes all. The limits of time are what people notice; the others lie between real
video and what games it on the embedded corpus, whatever a model of ours reaches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.metrics.registry import distance_from_best

VERDICT_VERSION = 1  # raise it when a check or a limit changes


@dataclass(frozen=True, slots=True)
class Check:
    """A metric between two limits, both allowed."""

    name: str
    metric: str
    low: float
    high: float

    def passed(self, figures: Mapping[str, Any]) -> bool | None:
        """None where the metric was not measured: an optional one, without what it needs."""
        if self.metric not in figures:
            return None
        return bool(self.low <= figures[self.metric] <= self.high)


CHECKS = (
    Check("follows the sound", "aperture_corr", 0.5, 1.0),
    Check("in time", "aperture_lag_frames", -1, 1),  # people notice 45 ms early: little more than a frame
    Check("in time to our expert", "expert_lag_frames", -1, 1),
    Check("opens as far as the real mouth", "amplitude_ratio", 0.6, 1.6),
    Check("moves as fast as the real mouth", "velocity_ratio", 0.5, 1.8),
    Check("opens and closes when the real mouth does", "event_f1", 0.5, 1.0),
    Check("lips meet at p, b and m", "closure", 0.6, 1.0),
    Check("as sharp as the real mouth", "sharpness_ratio", 0.6, 1.6),
    Check("mouth looks like the real one", "mouth_l1", 0.0, 0.08),
    Check("the rest is left alone", "outside_ssim", 0.9, 1.0),
)


def failed(figures: Mapping[str, Any]) -> list[Check]:
    """The checks that a row of the panel does not pass, in their order."""
    return [check for check in CHECKS if check.passed(figures) is False]


def checked(figures: Mapping[str, Any]) -> list[Check]:
    return [check for check in CHECKS if check.passed(figures) is not None]


def ranking(panel: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Rows from the best to the worst: fewest failed checks first, then nearest to the best of what is checked."""

    def key(row: str) -> tuple[int, float, str]:
        figures = panel[row]
        away = sum(float(distance_from_best(check.metric, figures[check.metric])) for check in checked(figures))
        return len(failed(figures)), away, row

    return sorted(panel, key=key)


def sentence(figures: Mapping[str, Any]) -> str:
    """For people: how many checks are passed, and which are not."""
    wrong, num = failed(figures), len(checked(figures))
    if not wrong:
        return f"passes all {num} checks"
    return f"passes {num - len(wrong)} of {num} checks. It fails: {named(wrong)}"


def named(checks: Sequence[Check]) -> str:
    return "; ".join(check.name for check in checks)
