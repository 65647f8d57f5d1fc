"""Measures of a sync expert: accuracy by offset, its best offset, and its calibration.

Offset k compares the picture at frame t with the sound at frame t + k: a best k above 0 means that the sound is late.
Shape letters: N runs, K = 2 max_offset + 1 offsets, column k + max_offset is offset k
"""

from typing import Any

import numpy as np

FAR = 3  # frames; pairs this far off are clearly out of sync (people notice from 1 early or 3 late)
NUM_BINS = 10


def offsets(num_offsets: int) -> np.ndarray:
    """Shape: -> (K,) int, from -max_offset to max_offset"""
    return np.arange(num_offsets) - num_offsets // 2


def accuracy_by_offset(distances_NK: np.ndarray) -> dict[int, float]:
    """Share of runs nearer to their own sound than to the one k frames off; ties half, nan (no such sound) left out."""
    own_N = distances_NK[:, distances_NK.shape[1] // 2]
    accuracies = {}
    for column, k in enumerate(offsets(distances_NK.shape[1])):
        other_N = distances_NK[:, column]
        exists_N = np.isfinite(other_N)
        if k and exists_N.any():
            nearer_N = (own_N < other_N) + 0.5 * (own_N == other_N)
            accuracies[int(k)] = float(nearer_N[exists_N].mean())
    return accuracies


def far_accuracy(distances_NK: np.ndarray) -> float:
    """`accuracy_by_offset`, mean over the offsets of FAR and more: chance 0.5."""
    return float(np.mean([value for k, value in accuracy_by_offset(distances_NK).items() if abs(k) >= FAR]))


def offset_histogram(distances_NK: np.ndarray) -> dict[int, int]:
    """Number of runs that are nearest to the sound of each offset."""
    best_N = np.nanargmin(distances_NK, axis=1)
    return {int(k): int((best_N == column).sum()) for column, k in enumerate(offsets(distances_NK.shape[1]))}


def binary_accuracy(probability_NK: np.ndarray) -> float:
    """Accuracy at probability 1/2: own sounds against those FAR or more off, each kind with half the weight."""
    far_K = np.abs(offsets(probability_NK.shape[1])) >= FAR
    far = probability_NK[:, far_K]
    own_N = probability_NK[:, probability_NK.shape[1] // 2]
    return float(((own_N > 0.5).mean() + (far[np.isfinite(far)] < 0.5).mean()) / 2)


def calibration(probability_NK: np.ndarray) -> dict[str, Any]:
    """Reliability of the probabilities, with as much weight on own sounds as on those FAR or more off.

    `bins`: mean probability, share that is in sync, share of all pairs. `error`: their mean difference (ECE).
    Source: Guo et al. 2017, "On calibration of modern neural networks".
    """
    far_K = np.abs(offsets(probability_NK.shape[1])) >= FAR
    own = probability_NK[:, probability_NK.shape[1] // 2]
    far = probability_NK[:, far_K]
    far = far[np.isfinite(far)]
    values = np.concatenate([own, far])
    truth = np.concatenate([np.ones(len(own)), np.zeros(len(far))])
    weight = np.concatenate([np.full(len(own), 0.5 / len(own)), np.full(len(far), 0.5 / len(far))])
    at = np.minimum((values * NUM_BINS).astype(int), NUM_BINS - 1)
    bins = []
    for b in range(NUM_BINS):
        here = at == b
        if mass := float(weight[here].sum()):
            bins.append(
                {
                    "probability": float((values * weight)[here].sum() / mass),
                    "in_sync": float((truth * weight)[here].sum() / mass),
                    "share": mass,
                }
            )
    error = sum(item["share"] * abs(item["probability"] - item["in_sync"]) for item in bins)
    return {"bins": bins, "error": error}


def summary(distances_NK: np.ndarray) -> dict[str, float]:
    """Offset, distance and confidence of a clip from the mean curve over its runs.

    offset_frames   offset of the smallest mean distance; of equal ones the nearest to 0
    distance        that smallest mean distance, as LSE-D
    confidence      median of the curve minus its smallest value, as LSE-C; near 0 the offset is not reliable
    Source:  Chung and Zisserman 2016; LSE-D and LSE-C of Prajwal et al. 2020
    Differs: With our expert, whose distances end at 2, the figures are not comparable to those of syncnet_v2.
    """
    curve_K = np.nanmean(distances_NK, axis=0)
    least = np.nanmin(curve_K)
    best = min(np.flatnonzero(curve_K <= least + 1e-9), key=lambda column: abs(column - len(curve_K) // 2))
    return {
        "offset_frames": int(best - len(curve_K) // 2),
        "distance": float(least),
        "confidence": float(np.nanmedian(curve_K) - least),
    }


def far_loss(probability_NK: np.ndarray) -> float:
    """Binary cross entropy of own sounds against those FAR or more off, half and half: ln 2 is chance."""
    far_K = np.abs(offsets(probability_NK.shape[1])) >= FAR
    own_N, far = probability_NK[:, probability_NK.shape[1] // 2], probability_NK[:, far_K]
    right, wrong = np.clip(own_N, 1e-7, 1), np.clip(1 - far[np.isfinite(far)], 1e-7, 1)
    return float(-(np.log(right).mean() + np.log(wrong).mean()) / 2)
