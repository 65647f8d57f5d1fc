"""A linear probe from sound to mouth opening at every offset: fitted in a second, without a network.

While a network is on its plateau, the probe decides whether to wait or to check the data.
Shape letters: T frames, X features of a frame
"""

from collections.abc import Sequence

import numpy as np

RIDGE = 10.0  # for a few hundred features of spread 1, from a few thousand frames


def offset_curve(sound: Sequence[np.ndarray], mouth: Sequence[np.ndarray], max_offset: int) -> np.ndarray:
    """Correlation of the true mouth opening with the one predicted from the sound k frames later, at each offset k.

    The probe is fitted on every other clip and tested on the rest, then the other way round.
    Shape:  per clip (T, X) and (T,)  ->  (2 max_offset + 1,), entry max_offset + k is offset k
    Errors: ValueError for fewer than two clips
    """
    if len(sound) < 2 or len(sound) != len(mouth):
        raise ValueError(f"two clips or more are needed, each with sound and mouth; got {len(sound)}, {len(mouth)}")
    return np.array([_correlation(sound, mouth, k) for k in range(-max_offset, max_offset + 1)])


def _correlation(sound: Sequence[np.ndarray], mouth: Sequence[np.ndarray], k: int) -> float:
    pairs = [_shifted(x_TX, y_T, k) for x_TX, y_T in zip(sound, mouth, strict=True) if len(y_T) > abs(k) + 2]
    halves = pairs[::2], pairs[1::2]
    scores = []
    for fitted, tested in (halves, halves[::-1]):
        if not fitted or not tested:
            continue
        x, y = (np.concatenate(part) for part in zip(*fitted, strict=True))
        mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
        z = (x - mean) / spread
        weights = np.linalg.solve(z.T @ z + RIDGE * len(z) / 100 * np.eye(z.shape[1]), z.T @ y)
        for x_TX, y_T in tested:
            predicted_T = (x_TX - mean) / spread @ weights
            constant = min(predicted_T.std(), y_T.std()) < 1e-9
            scores.append(0.0 if constant else float(np.corrcoef(predicted_T, y_T)[0, 1]))
    return float(np.mean(scores)) if scores else 0.0


def _shifted(x_TX: np.ndarray, y_T: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs frame t's mouth with frame t + k's sound; each clip's mouth is centred on its mean."""
    num = len(y_T) - abs(k)
    y_T = y_T[max(-k, 0) :][:num]
    return x_TX[max(k, 0) :][:num].astype(np.float64), y_T - y_T.mean()
