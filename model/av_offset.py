"""Audio-video offset: how many frames the sound is later than the mouth.

An offset of k frames compares the picture at frame t with the sound at frame t + k: if k > 0 is best, the sound is
late.
"""

import numpy as np

QUALITY_VERSION = 3  # of this module, loudness and head_mesh: raise it when a figure changes; it is in the unit keys

MAX_OFFSET = 12  # frames, the largest offset searched
RIVAL_FRAMES = 3  # peaks nearer than this count as one
SLOW_FRAMES = 41  # slower changes than this are pose and loudness, not syllables
SPEAKER_OFFSET = 3  # frames of offset allowed when the speaking face is chosen


def offset(mouth_T: np.ndarray, levels_T: np.ndarray) -> tuple[int, float]:
    """How many frames the sound is later than the mouth, and by how much that fits better than any other offset.

    Correlates the mouth opening with `vowel_levels`, both without slow changes, at every offset up to MAX_OFFSET. The
    confidence is the highest correlation minus the next highest peak.
    Shape: (T,), (T,) -> offset, confidence in [0, 2]; (0, 0.0) if the clip is too short
    """
    num_frames = len(mouth_T)
    reach = min(MAX_OFFSET, num_frames // 3)
    if reach < RIVAL_FRAMES:
        return 0, 0.0
    mouth_T, levels_T = _quick(mouth_T), _quick(levels_T)
    offsets = np.arange(-reach, reach + 1)
    fit = np.array([_correlation(mouth_T, levels_T, int(k)) for k in offsets])
    best = int(fit.argmax())
    rivals = fit[np.abs(offsets - offsets[best]) >= RIVAL_FRAMES]
    return int(offsets[best]), float(fit[best] - rivals.max())


def _correlation(mouth_T: np.ndarray, levels_T: np.ndarray, late: int) -> float:
    """Over the frames that overlap when the sound is `late` frames late."""
    one = mouth_T[max(-late, 0) : len(mouth_T) - max(late, 0)]
    other = levels_T[max(late, 0) : len(levels_T) + min(late, 0)]
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale > 1e-12 else 0.0


def _quick(series_T: np.ndarray) -> np.ndarray:
    """High-pass: removes changes slower than SLOW_FRAMES.  Shape: (T,) -> (T,)"""
    half = SLOW_FRAMES // 2
    kernel = np.hanning(SLOW_FRAMES + 2)[1:-1]
    padded = np.pad(series_T.astype(np.float64), half, mode="reflect" if len(series_T) > half else "edge")
    return series_T - np.convolve(padded, kernel / kernel.sum(), "valid")


def speaking(mouths_NT: np.ndarray, levels_T: np.ndarray) -> int:
    """Index of the speaking face: the one whose mouth best follows the sound, up to a few frames of offset.

    The score is weighted by movement: a still mouth may correlate by chance.  Shape: (N, T), (T,) -> index
    """
    levels_T = _quick(levels_T)
    scores = []
    for mouth_T in mouths_NT:
        quick_T = _quick(mouth_T)
        reach = min(SPEAKER_OFFSET, len(quick_T) // 3)
        fit = max(_correlation(quick_T, levels_T, k) for k in range(-reach, reach + 1))
        scores.append(max(fit, 0.0) * float(quick_T.std()))
    return int(np.argmax(scores))
