"""The registry of metrics: their meaning, and how clips are summarised and compared without leaving any out.

The metrics are computed in temporal, articulation, picture and motion. No single number identifies a good mouth: a
frozen one has the best distances, a late one the right amplitude, a mumbled one the right correlation.
model/metrics/verdict.py combines them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.metrics.picture import RATIO_CAP

PANEL_VERSION = 6  # raise it when a condition or metric changes its meaning: figures before and after do not compare
MIN_PAIRS = 6  # with five clips even five wins of five have a probability of 1 in 16 by chance
Z_95 = 1.959964  # deviations that hold 95 % of a normal distribution
Group = Literal["time", "articulation", "picture", "motion"]


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is read. `worst` is the value of a clip in which it could not be measured."""

    group: Group
    title: str
    unit: str
    better: Literal["higher", "lower", "one", "zero"]
    worst: float
    over_clips: Literal["mean", "median"] = "mean"
    optional: bool = False  # a clip may have nothing to measure: no p, b or m, or no weights of a published network
    version: int = 1  # raise it when the meaning changes


METRICS = {
    "aperture_corr": Metric("time", "mouth opening against truth, lag 0", "correlation", "higher", -1.0),
    "aperture_best_corr": Metric("time", "the same at the best lag", "correlation", "higher", -1.0),
    "aperture_lag_frames": Metric("time", "best lag, + is a late mouth", "frames", "zero", 51.0, "median"),
    "expert_in_sync": Metric("time", "seconds in sync by our expert", "share", "higher", 0.0, optional=True),
    "expert_lag_frames": Metric("time", "best lag by our expert", "frames", "zero", 51.0, "median", optional=True),
    "expert_distance": Metric("time", "our expert: smallest distance", "0 to 2", "lower", 2.0, optional=True),
    "expert_confidence": Metric("time", "our expert: confidence", "0 to 2", "higher", 0.0, optional=True),
    "lse_d": Metric("time", "LSE-D, published SyncNet", "distance", "lower", 100.0, optional=True),
    "lse_c": Metric("time", "LSE-C, published SyncNet", "distance", "higher", 0.0, optional=True),
    "amplitude_ratio": Metric("articulation", "amplitude against real", "ratio", "one", 0.0),
    "velocity_ratio": Metric("articulation", "speed against real", "ratio", "one", 0.0),
    "event_f1": Metric("articulation", "openings and closings on time", "F1", "higher", 0.0),
    "closure": Metric("articulation", "lips closed at p, b, m", "share", "higher", 0.0, optional=True, version=2),
    "l1": Metric("picture", "L1", "share of full scale", "lower", 1.0),
    "mouth_l1": Metric("picture", "mouth L1", "share of full scale", "lower", 1.0),
    "outside_l1": Metric("picture", "L1 outside the mouth", "share of full scale", "lower", 1.0),
    "psnr": Metric("picture", "PSNR", "dB", "higher", 0.0),
    "mouth_psnr": Metric("picture", "mouth PSNR", "dB", "higher", 0.0),
    "outside_psnr": Metric("picture", "PSNR outside the mouth", "dB", "higher", 0.0),
    "ssim": Metric("picture", "SSIM", "", "higher", -1.0),
    "mouth_ssim": Metric("picture", "mouth SSIM", "", "higher", -1.0),
    "outside_ssim": Metric("picture", "SSIM outside the mouth", "", "higher", -1.0),
    "sharpness_ratio": Metric("picture", "sharpness in the mouth against real", "ratio", "one", 0.0, version=2),
    "teeth_error": Metric("picture", "area of teeth, against real", "share of the mouth box", "lower", 1.0),
    "teeth_flicker_ratio": Metric("picture", "flicker of teeth against real", "ratio", "one", 0.0, optional=True),
    "lmd": Metric("picture", "LMD of the lips", "share of the eye distance", "lower", 10.0),
    "lpips": Metric("picture", "LPIPS", "distance", "lower", 10.0, optional=True),
    "chin_motion": Metric("motion", "spurious motion of the chin", "share of full scale", "lower", 1.0),
    "cheek_motion": Metric("motion", "spurious motion of the cheeks", "share of full scale", "lower", 1.0),
    "mouth_skew": Metric("motion", "left/right skew of the mouth", "share of its width", "lower", 1.0),
    "seam": Metric("motion", "seam where the face is pasted", "share of full scale", "lower", 1.0, optional=True),
    "box_jitter": Metric("motion", "jitter of the face box", "share of its width", "lower", 1.0),
}  # lags are at most 50 frames, so 51 is worse than any


def lag_text(lag_frames: float) -> str:
    """A lag for people: "0 frames", "+1 frame", "-1.5 frames"; + is late."""
    rounded = round(float(lag_frames), 1)
    number = f"{rounded:+g}" if rounded else "0"
    return f"{number} frame{'' if abs(rounded) == 1 else 's'}"


def distance_from_best(name: str, values_N: np.ndarray) -> np.ndarray:
    """Distance of a metric's values from the best possible, up to a constant: less is better.  Shape: (N,)

    For ratios the absolute logarithm: half is as far from 1 as twice, and 0 as far as 10, the limits of the ratios.
    """
    values_N = np.asarray(values_N, np.float64)
    match METRICS[name].better:
        case "lower":
            return values_N
        case "higher":
            return -values_N
        case "zero":
            return np.abs(values_N)
        case "one":
            return np.abs(np.log(np.clip(values_N, 1 / RATIO_CAP, RATIO_CAP)))


def or_worst(name: str, value: float | None) -> float:
    """The value, or the metric's worst if it could not be measured (None or nan)."""
    return METRICS[name].worst if value is None or np.isnan(value) else float(value)


def bootstrap(
    values_N: np.ndarray, seed: int, num: int, over_clips: Literal["mean", "median"] = "mean"
) -> tuple[float, float, float]:
    """Mean (or median) over clips with its 95 % percentile interval: (value, low, high).

    The clips are resampled `num` times; the same seed and N draw the same clips, so that intervals can be compared.
    With one clip the interval is that value and has no meaning.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    values_N = np.asarray(values_N, np.float64)
    if values_N.ndim != 1 or len(values_N) == 0:
        raise ValueError(f"values_N must be (N,), N >= 1, got {values_N.shape}")
    of = np.mean if over_clips == "mean" else np.median
    drawn = np.random.default_rng(seed).integers(len(values_N), size=(num, len(values_N)))
    low, high = np.percentile(of(values_N[drawn], axis=1), [2.5, 97.5])
    return float(of(values_N)), float(low), float(high)


def wilson(wins: int, num: int) -> tuple[float, float]:
    """95 % interval of a share, (low, high); valid for few trials and for shares of 0 and 1.

    Source: Wilson 1927
    """
    if not 0 <= wins <= num or num == 0:
        raise ValueError(f"{wins} of {num} is not a share")
    z2 = Z_95**2
    middle = (wins + z2 / 2) / (num + z2)
    half = Z_95 / (num + z2) * float(np.sqrt(wins * (num - wins) / num + z2 / 4))
    return max(0.0, middle - half), min(1.0, middle + half)


def summarise(
    clips: Sequence[Mapping[str, float | None]], *, seed: int, num: int
) -> dict[str, float | int | list[float]]:
    """Metric -> mean over clips, `<metric>_ci` -> [low, high] of 95 %; the median for the lag; and `num_clips`.

    A clip in which a metric is None or nan is not left out: it counts as the metric's worst value, in
    `<metric>_failed` (absent if 0), and once in `num_failed` (always present). A clip without an optional metric has
    nothing to measure; `<metric>_clips` is then the number of clips that have it.
    Errors: ValueError for no clip, clips with different metrics, or a metric that METRICS does not have.
    """
    if not clips:
        raise ValueError("there is no clip to summarise")
    names = list(dict.fromkeys(name for clip in clips for name in clip))
    if unknown := [name for name in names if name not in METRICS]:
        raise ValueError(f"unknown metrics {unknown}; known: {list(METRICS)}")
    if lacking := [n for n in names if not METRICS[n].optional and any(n not in clip for clip in clips)]:
        raise ValueError(f"all clips must have the same metrics: some lack {lacking}")
    summary: dict[str, float | int | list[float]] = {}
    for name in names:
        values = [clip[name] for clip in clips if name in clip]
        values_N = np.array([or_worst(name, value) for value in values])
        summary[name], *interval = bootstrap(values_N, seed, num, METRICS[name].over_clips)
        summary[f"{name}_ci"] = interval
        if failed := sum(map(_missing, values)):
            summary[f"{name}_failed"] = failed
        if len(values) < len(clips):
            summary[f"{name}_clips"] = len(values)
    summary["num_clips"] = len(clips)
    summary["num_failed"] = sum(any(map(_missing, clip.values())) for clip in clips)
    return summary


@dataclass(frozen=True, slots=True)
class Paired:
    """The change from A to B on the same clips. `verdict` is about B."""

    metric: str
    a: float
    b: float
    difference: float  # mean over clips of B - A; for metrics that are best at 0 or 1, of the distance from there
    low: float  # 95 % interval of the difference
    high: float
    verdict: Literal["better", "worse", "cannot tell"]
    num_clips: int


def paired(
    by_clip_a: Mapping[str, float | None],
    by_clip_b: Mapping[str, float | None],
    metric: str,
    *,
    seed: int = 0,
    num: int = 2000,
) -> Paired:
    """Whether B is better than A, clip by clip, so that hard and easy clips cancel; interval by bootstrap over clips.

    A clip that could not be measured (None, nan) counts as the worst, on either side. With fewer than MIN_PAIRS clips,
    or an interval that contains 0, the verdict is "cannot tell".
    Errors: ValueError if A and B have different clips, or none.
    """
    if set(by_clip_a) != set(by_clip_b) or not by_clip_a:
        raise ValueError(f"{metric}: A has {len(by_clip_a)} clips, B {len(by_clip_b)}; they must be the same clips")
    a_N, b_N = (
        np.array([or_worst(metric, by_clip[c]) for c in sorted(by_clip_a)]) for by_clip in (by_clip_a, by_clip_b)
    )
    better = METRICS[metric].better
    change_N = (
        b_N - a_N
        if better in ("higher", "lower")
        else distance_from_best(metric, b_N) - distance_from_best(metric, a_N)
    )
    mean, low, high = bootstrap(change_N, seed, num)
    sign = 1 if better == "higher" else -1
    verdict: Literal["better", "worse", "cannot tell"] = "cannot tell"
    if len(a_N) >= MIN_PAIRS and low * high > 0:
        verdict = "better" if sign * mean > 0 else "worse"
    return Paired(metric, float(a_N.mean()), float(b_N.mean()), mean, low, high, verdict, len(a_N))


def _missing(value: float | None) -> bool:
    return value is None or bool(np.isnan(value))
