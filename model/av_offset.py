"""How far sound and mouth lie apart in time.

An offset of k frames compares the picture at frame t with the sound at frame t + k: where k > 0 is best, the sound is
late.
"""

import numpy as np

QUALITY_VERSION = 3  # of this module, loudness and head_pose: raise it when a figure changes; it is in the unit keys

MAX_OFFSET = 12  # frames, how far sound and mouth are looked for apart
RIVAL_FRAMES = 3  # peaks nearer than this are one
SLOW_FRAMES = 41  # slower changes than this are pose and loudness, no syllables
SPEAKER_OFFSET = 3  # frames that are allowed while one looks for who speaks


def offset(mouth_T: np.ndarray, levels_T: np.ndarray) -> tuple[int, float]:
    """How many frames the sound is later than the mouth, and how much better that fits than any other offset.

    Correlation of the opening of the mouth with `vowel_levels`, both without slow changes, at every offset up to
    MAX_OFFSET. The confidence is the highest correlation, less the next highest peak.
    Shape: (T,), (T,) -> offset, confidence in [0, 2]; (0, 0.0) where the clip is too short to tell
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
    """Of the frames that both have when the sound is `late`."""
    one = mouth_T[max(-late, 0) : len(mouth_T) - max(late, 0)]
    other = levels_T[max(late, 0) : len(levels_T) + min(late, 0)]
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale > 1e-12 else 0.0


def _quick(series_T: np.ndarray) -> np.ndarray:
    """Without what changes more slowly than over SLOW_FRAMES.  Shape: (T,) -> (T,)"""
    half = SLOW_FRAMES // 2
    kernel = np.hanning(SLOW_FRAMES + 2)[1:-1]
    padded = np.pad(series_T.astype(np.float64), half, mode="reflect" if len(series_T) > half else "edge")
    return series_T - np.convolve(padded, kernel / kernel.sum(), "valid")


def speaking(mouths_NT: np.ndarray, levels_T: np.ndarray) -> int:
    """Which of N faces speaks: the one whose mouth moves most with the sound, a few frames of offset allowed.

    Movement counts as well: a still mouth may correlate by chance.  Shape: (N, T), (T,) -> index
    """
    levels_T = _quick(levels_T)
    scores = []
    for mouth_T in mouths_NT:
        quick_T = _quick(mouth_T)
        reach = min(SPEAKER_OFFSET, len(quick_T) // 3)
        fit = max(_correlation(quick_T, levels_T, k) for k in range(-reach, reach + 1))
        scores.append(max(fit, 0.0) * float(quick_T.std()))
    return int(np.argmax(scores))
