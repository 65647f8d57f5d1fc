"""Timing of the mouth: its opening against the true one at every lag, and the lags of a sync network.

No single number identifies a good mouth: a late one has the right amplitude, a mumbled one the right correlation.
Correlation at lag 0, best lag and amplitude ratio together separate them.
"""

from dataclasses import dataclass

import numpy as np

from model.metrics.picture import RATIO_CAP
from model.timing import FPS

CONSTANT = 1e-8  # a curve with a smaller standard deviation does not move
IN_SYNC_FRAMES = 1  # people notice about 45 ms early and 125 ms late
EQUAL = 1e-9  # correlations closer than this are equal: rounding must not decide the lag


@dataclass(frozen=True, slots=True)
class Aperture:
    """How a measured mouth opening follows the true one. None of the four is ever nan."""

    corr: float  # Pearson at lag 0, [-1, 1], higher is better; ignores amplitude
    best_corr: float  # the highest of the lags searched, >= corr; ignores a constant delay
    lag_frames: int  # its lag; positive: the measured mouth is late; 0 is best; meaningless if best_corr is low
    amplitude_ratio: float  # standard deviation over the reference's, [0, 10], 1 is best; ignores time


def aperture_scores(measured_T: np.ndarray, truth_T: np.ndarray, *, max_lag: int, reference_T: np.ndarray) -> Aperture:
    """Correlation, lag and amplitude of a mouth opening.

    A constant curve has correlation 0 with everything, lag 0 and amplitude 0. Of equal peaks the lag nearest 0 counts.
    Amplitude is compared with `reference_T`, the opening of the real pictures measured by the same predictor, since the
    truth may have other units; with a constant reference the ratio is 1 for a still mouth and 10 for any other.
    Misses: everything except the opening: width, teeth, sharpness.
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
    """Pearson correlation with the truth at each lag of the measured curve.

    Lags that leave less than half of the clip to compare are not measured: their entry is 0.
    Shape: (T,), (T,) float, finite -> (2 max_lag + 1,); entry max_lag + k is "late by k frames"
    """
    if measured_T.shape != truth_T.shape or measured_T.ndim != 1 or len(truth_T) == 0:
        raise ValueError(f"curves must be (T,) of one length, got {measured_T.shape} and {truth_T.shape}")
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
    """How well a distance between face and sound separates right pairs from wrong ones; 0.5 is chance, 1 is best."""

    accuracy: float  # share of pairs on the right side of the threshold
    two_afc: float  # share of faces that are nearer to their right sound than to the wrong one


def sync_accuracy(right_N: np.ndarray, wrong_N: np.ndarray, *, threshold: float) -> SyncScores:
    """Accuracy of a sync network from its distances; ties count half, nan counts as wrong.

    Misses: how hard the wrong pairs are: those of other clips are easier than those a few frames off.
    Shape:  (N,), (N,): the distances of N faces to their right and to a wrong sound
    """
    if right_N.shape != wrong_N.shape or right_N.ndim != 1 or len(right_N) == 0:
        raise ValueError(f"each face needs a right and a wrong distance, got {right_N.shape} and {wrong_N.shape}")
    accepted, rejected = _less(right_N, threshold), _less(threshold, wrong_N)
    return SyncScores(
        accuracy=float((accepted.mean() + rejected.mean()) / 2),
        two_afc=float(_less(right_N, wrong_N).mean()),
    )


def expert_lags(distances_NK: np.ndarray) -> np.ndarray:
    """Best lag of every second of a clip, or of a whole shorter one, by a sync network; positive: the picture is late.

    Column k of K = 2 m + 1 compares the picture with the sound k - m frames later, nan if there is none. A late picture
    fits earlier sound, so the lag is the negative of the best offset: the sign changes here and nowhere else. A single
    frame is not reliable; people, too, need about a second. An offset measured in less than half of the second is not
    considered.
    Shape:  (N, K) float, N >= 1 -> (N - 24,) int, or (1,)
    """
    if distances_NK.ndim != 2 or not len(distances_NK) or distances_NK.shape[1] % 2 != 1:
        raise ValueError(f"distances must be (N, 2 m + 1) with N >= 1, got {distances_NK.shape}")
    num = min(FPS, len(distances_NK))
    count_MK = _moving_sum(np.isfinite(distances_NK), num)
    mean_MK = _moving_sum(np.nan_to_num(distances_NK), num) / np.maximum(count_MK, 1)
    return np.asarray(distances_NK.shape[1] // 2 - np.where(2 * count_MK < num, np.inf, mean_MK).argmin(axis=1))


def in_sync(lags_M: np.ndarray) -> float:
    """Share of lags of at most 1 frame; 1 is best. Misses: everything except the timing."""
    return float((np.abs(lags_M) <= IN_SYNC_FRAMES).mean())


def _moving_sum(values_NK: np.ndarray, num: int) -> np.ndarray:
    sums_NK = np.cumsum(np.vstack([np.zeros(values_NK.shape[1]), values_NK]), axis=0)
    return np.asarray(sums_NK[num:] - sums_NK[:-num])


def _pearson(a_T: np.ndarray, b_T: np.ndarray) -> float:
    a_T, b_T = a_T.astype(np.float64), b_T.astype(np.float64)  # in float32 a constant can have a deviation
    if min(a_T.std(), b_T.std()) < CONSTANT:
        return 0.0
    return float(np.clip(np.corrcoef(a_T, b_T)[0, 1], -1, 1))


def _lag_limit(num_frames: int, max_lag: int) -> int:
    return min(max_lag, num_frames // 2)


def _amplitude_ratio(measured_T: np.ndarray, reference_T: np.ndarray) -> float:
    measured, reference = (float(curve_T.astype(np.float64).std()) for curve_T in (measured_T, reference_T))
    if measured < CONSTANT:
        return 1.0 if reference < CONSTANT else 0.0
    return RATIO_CAP if reference < CONSTANT else min(RATIO_CAP, measured / reference)


def _less(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """1 where a < b, 0.5 where equal, else 0."""
    return np.less(a, b) + 0.5 * np.equal(a, b)
