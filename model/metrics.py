"""What is measured of a generated mouth, what each number misses, and how clips are summed up without losing any.

No single number tells a good mouth: a frozen one has the best distances, a late one the right amplitude, a mumbled one
the right correlation. Correlation at lag 0, best lag and amplitude ratio together tell them apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

PSNR_CAP_DB = 100.0  # equal pictures; the least difference possible in a 96 x 96 frame gives 92
RATIO_CAP = 10.0
CONSTANT = 1e-8  # a curve with a smaller standard deviation does not move
EQUAL = 1e-9  # correlations nearer than this are equal: rounding must not choose the lag


@dataclass(frozen=True, slots=True)
class Metric:
    """How a metric is read. `worst` is what a clip counts for in which it could not be measured."""

    unit: str
    better: Literal["higher", "lower", "one", "zero"]
    worst: float
    over_clips: Literal["mean", "median"] = "mean"


METRICS = {
    "l1": Metric("share of full scale", "lower", 1.0),
    "mouth_l1": Metric("share of full scale", "lower", 1.0),
    "psnr": Metric("dB", "higher", 0.0),
    "ssim": Metric("", "higher", -1.0),
    "aperture_corr": Metric("", "higher", -1.0),
    "aperture_best_corr": Metric("", "higher", -1.0),
    "aperture_lag_frames": Metric("frames", "zero", 51.0, "median"),  # further than any lag that is searched
    "amplitude_ratio": Metric("", "one", 0.0),
}


def l1(a_THW3: np.ndarray, b_THW3: np.ndarray) -> float:
    """Mean absolute difference of pictures; 0 is equal, 1 is black against white, lower is better.

    Misses: the sound: a copy of the input scores well, as most of a face does not move; blur is rewarded.
    Shape:  (T, H, W, 3) uint8, both alike
    """
    _same_pictures(a_THW3, b_THW3)
    return float(np.mean([_difference(a, b).mean() for a, b in zip(a_THW3, b_THW3, strict=True)])) / 255


def mouth_l1(a_THW3: np.ndarray, b_THW3: np.ndarray, mouth_T4: np.ndarray) -> float:
    """`l1` inside the mouth box of each frame, every frame with equal weight; 0 is equal, lower is better.

    Misses: a mouth that is right at another time looks as wrong as a wrong one; blur is rewarded.
    Shape:  (T, H, W, 3) uint8, both alike; boxes (T, 4) int (left, top, right, bottom), the last two exclusive
    Errors: ValueError for a box with no pixel of the picture in it.
    """
    _same_pictures(a_THW3, b_THW3)
    if mouth_T4.shape != (len(a_THW3), 4):
        raise ValueError(f"mouth_T4 must be ({len(a_THW3)}, 4), got {mouth_T4.shape}")
    means = []
    for a, b, (left, top, right, bottom) in zip(a_THW3, b_THW3, np.maximum(mouth_T4, 0), strict=True):
        inside = _difference(a[top:bottom, left:right], b[top:bottom, left:right])
        if inside.size == 0:
            box = tuple(int(side) for side in (left, top, right, bottom))
            raise ValueError(f"mouth box {box} holds no pixel of a {a.shape[1]} x {a.shape[0]} frame")
        means.append(inside.mean())
    return float(np.mean(means)) / 255


def psnr(a_THW3: np.ndarray, b_THW3: np.ndarray) -> float:
    """Peak signal to noise ratio, dB, higher is better; 0 is black against white, 100 is written for equal pictures.

    Misses:  what `l1` misses.
    Differs: from the squared error of all frames together, not the mean of each frame's dB, in which one frame that is
             a copy of the truth would outweigh many others.
    Shape:   (T, H, W, 3) uint8, both alike
    """
    _same_pictures(a_THW3, b_THW3)
    squares = [np.square(_difference(a, b), dtype=np.float64).mean() for a, b in zip(a_THW3, b_THW3, strict=True)]
    error = float(np.mean(squares))
    return PSNR_CAP_DB if error == 0 else min(PSNR_CAP_DB, 10 * float(np.log10(255**2 / error)))


@dataclass(frozen=True, slots=True)
class Aperture:
    """How a measured mouth opening follows the true one. None of the four is ever nan."""

    corr: float  # Pearson at lag 0, [-1, 1], higher is better; blind to amplitude
    best_corr: float  # the highest within the lags searched, >= corr; blind to a constant delay
    lag_frames: int  # where that is: positive, the measured mouth is late; 0 is best; empty where best_corr is low
    amplitude_ratio: float  # standard deviation over the reference's, [0, 10], 1 is best; blind to time


def aperture_scores(measured_T: np.ndarray, truth_T: np.ndarray, *, max_lag: int, reference_T: np.ndarray) -> Aperture:
    """Correlation, lag and amplitude of a mouth opening.

    A curve that does not move has correlation 0 with everything, lag 0 and amplitude 0. Equal peaks: the lag nearest 0.
    Amplitude is compared with `reference_T`, the opening of the real pictures measured by the same predictor, since the
    truth may come in other units; a reference that does not move gives 1 for a still mouth and 10 for any other.
    Misses: everything but the opening: width, teeth, sharpness.
    Shape:  three curves (T,) float, finite
    """
    curve = lag_curve(measured_T, truth_T, max_lag)
    limit = _lag_limit(len(truth_T), max_lag)
    best_corr = curve[max_lag - limit : max_lag + limit + 1].max()
    peaks = [lag for lag in range(-limit, limit + 1) if curve[max_lag + lag] > best_corr - EQUAL]
    return Aperture(
        corr=float(curve[max_lag]),
        best_corr=float(best_corr),
        lag_frames=min(peaks, key=abs),
        amplitude_ratio=_amplitude_ratio(measured_T, reference_T),
    )


def lag_curve(measured_T: np.ndarray, truth_T: np.ndarray, max_lag: int) -> np.ndarray:
    """Pearson correlation with the truth when the measured curve is taken as 0, 1, ... frames late or early.

    Lags that leave less than half of the clip to compare are not measured: 0 stands there.
    Shape: (T,), (T,) float, finite -> (2 max_lag + 1,); entry max_lag + k is "late by k frames"
    """
    if measured_T.shape != truth_T.shape or measured_T.ndim != 1 or len(truth_T) == 0:
        raise ValueError(f"two curves of one length are needed, got {measured_T.shape} and {truth_T.shape}")
    if not (np.isfinite(measured_T).all() and np.isfinite(truth_T).all()):
        raise ValueError("a curve with nan or inf cannot be compared")
    curve = np.zeros(2 * max_lag + 1)
    limit = _lag_limit(len(truth_T), max_lag)
    for lag in range(-limit, limit + 1):
        late, early = max(lag, 0), max(-lag, 0)
        num_both = len(truth_T) - abs(lag)
        curve[max_lag + lag] = _pearson(measured_T[late : late + num_both], truth_T[early : early + num_both])
    return curve


@dataclass(frozen=True, slots=True)
class SyncScores:
    """How well a distance between face and sound tells right pairs from wrong ones; 0.5 is chance, 1 is best."""

    accuracy: float  # share of pairs on the right side of the threshold
    two_afc: float  # share of faces that are nearer to their right sound than to the wrong one


def sync_accuracy(right_N: np.ndarray, wrong_N: np.ndarray, *, threshold: float) -> SyncScores:
    """Accuracy of a sync network from its distances; ties count half, nan counts as wrong.

    Misses: how hard the wrong pairs are: those of other clips are easier than those a few frames off.
    Shape:  (N,), (N,): the distances of N faces to their right and to a wrong sound
    """
    if right_N.shape != wrong_N.shape or right_N.ndim != 1 or len(right_N) == 0:
        raise ValueError(f"each face needs a right and a wrong distance, got {right_N.shape} and {wrong_N.shape}")
    told_right, told_wrong = _less(right_N, threshold), _less(threshold, wrong_N)
    return SyncScores(
        accuracy=float((told_right.mean() + told_wrong.mean()) / 2),
        two_afc=float(_less(right_N, wrong_N).mean()),
    )


def bootstrap(
    values_N: np.ndarray, seed: int, num: int, over_clips: Literal["mean", "median"] = "mean"
) -> tuple[float, float, float]:
    """Mean (or median) over clips with its 95 % percentile interval: (value, low, high).

    The clips are drawn anew `num` times; the same seed and N draw the same clips, so that intervals can be compared.
    With one clip the interval is that value, and tells nothing.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    values_N = np.asarray(values_N, np.float64)
    if values_N.ndim != 1 or len(values_N) == 0:
        raise ValueError(f"values_N must be (N,), N >= 1, got {values_N.shape}")
    of = np.mean if over_clips == "mean" else np.median
    drawn = np.random.default_rng(seed).integers(len(values_N), size=(num, len(values_N)))
    low, high = np.percentile(of(values_N[drawn], axis=1), [2.5, 97.5])
    return float(of(values_N)), float(low), float(high)


def summarise(
    clips: Sequence[Mapping[str, float | None]], *, seed: int, num: int
) -> dict[str, float | int | list[float]]:
    """Metric -> mean over clips, `<metric>_ci` -> [low, high] of 95 %; the median for the lag; and `num_clips`.

    A clip in which a metric is None or nan is not left out: it counts as the metric's worst value, and is counted in
    `num_failed`, which is there in any case.
    Errors: ValueError for no clip, clips with different metrics, or one that METRICS does not hold.
    """
    if not clips:
        raise ValueError("there is no clip to sum up")
    names = list(clips[0])
    if unknown := [name for name in names if name not in METRICS]:
        raise ValueError(f"unknown metrics {unknown}; known: {list(METRICS)}")
    if any(set(clip) != set(names) for clip in clips):
        raise ValueError("all clips must have the same metrics")
    summary: dict[str, float | int | list[float]] = {}
    for name in names:
        given = [_number(clip[name]) for clip in clips]
        values_N = np.array([METRICS[name].worst if np.isnan(value) else value for value in given])
        summary[name], *interval = bootstrap(values_N, seed, num, METRICS[name].over_clips)
        summary[f"{name}_ci"] = interval
    summary["num_clips"] = len(clips)
    summary["num_failed"] = sum(any(np.isnan(_number(value)) for value in clip.values()) for clip in clips)
    return summary


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _same_pictures(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape or a.ndim != 4 or len(a) == 0:
        raise ValueError(f"pictures must be (T, H, W, 3), both alike, got {a.shape} and {b.shape}")
    if a.dtype != np.uint8 or b.dtype != np.uint8:
        raise ValueError(f"pictures must be uint8, got {a.dtype} and {b.dtype}")


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b| of uint8 pictures, as int16: in uint8 a difference of -1 would be 255."""
    return np.abs(a.astype(np.int16) - b)


def _pearson(a_T: np.ndarray, b_T: np.ndarray) -> float:
    a_T, b_T = a_T.astype(np.float64), b_T.astype(np.float64)  # in float32 a constant has a deviation
    if min(a_T.std(), b_T.std()) < CONSTANT:
        return 0.0
    return float(np.clip(np.corrcoef(a_T, b_T)[0, 1], -1, 1))


def _lag_limit(num_frames: int, max_lag: int) -> int:
    return min(max_lag, num_frames // 2)


def _amplitude_ratio(measured_T: np.ndarray, reference_T: np.ndarray) -> float:
    moved, wanted = (float(curve_T.astype(np.float64).std()) for curve_T in (measured_T, reference_T))
    if moved < CONSTANT:
        return 1.0 if wanted < CONSTANT else 0.0
    return RATIO_CAP if wanted < CONSTANT else min(RATIO_CAP, moved / wanted)


def _less(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """1 where a < b, 0.5 where equal, else 0."""
    return np.less(a, b) + 0.5 * np.equal(a, b)
