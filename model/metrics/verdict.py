"""The verdict: which checks a condition of the panel passes, and the ranking of the conditions.

Every control fails a check: a frozen mouth does not follow the sound, a mumble does not open far enough, a right mouth
at the wrong time is late. Real video passes all. The limits of timing are what people notice; the others lie between
real video and the controls on the embedded corpus, independent of any trained model.
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
        """None if the metric was not measured: optional, without the weights or data it needs."""
        if self.metric not in figures:
            return None
        return bool(self.low <= figures[self.metric] <= self.high)


CHECKS = (
    Check("follows the sound", "aperture_corr", 0.5, 1.0),
    Check("in time", "aperture_lag_frames", -1, 1),  # people notice 45 ms early: little more than a frame
    Check("in time by our expert", "expert_lag_frames", -1, 1),
    Check("opens as far as the real mouth", "amplitude_ratio", 0.6, 1.6),
    Check("moves as fast as the real mouth", "velocity_ratio", 0.5, 1.8),
    Check("opens and closes when the real mouth does", "event_f1", 0.5, 1.0),
    Check("lips meet at p, b and m", "closure", 0.6, 1.0),
    Check("as sharp as the real mouth", "sharpness_ratio", 0.6, 1.6),
    Check("looks like the real mouth", "mouth_l1", 0.0, 0.08),
    Check("the rest of the face is unchanged", "outside_ssim", 0.9, 1.0),
)


def failed(figures: Mapping[str, Any]) -> list[Check]:
    """The checks that a condition fails, in their order."""
    return [check for check in CHECKS if check.passed(figures) is False]


def checked(figures: Mapping[str, Any]) -> list[Check]:
    return [check for check in CHECKS if check.passed(figures) is not None]


def ranking(panel: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Conditions from the best to the worst: fewest failed checks first, then nearest to the best values."""

    def key(row: str) -> tuple[int, float, str]:
        figures = panel[row]
        away = sum(float(distance_from_best(check.metric, figures[check.metric])) for check in checked(figures))
        return len(failed(figures)), away, row

    return sorted(panel, key=key)


def sentence(figures: Mapping[str, Any]) -> str:
    """How many checks are passed, and which are not."""
    failures, num = failed(figures), len(checked(figures))
    if not failures:
        return f"passes all {num} checks"
    return f"passes {num - len(failures)} of {num} checks. It fails: {named(failures)}"


def named(checks: Sequence[Check]) -> str:
    return "; ".join(check.name for check in checks)
