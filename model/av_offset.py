"""What a clip is worth for training, in figures: sound, mouth, head, as arrays in and numbers out.

tasks/preprocess/gates.py reads them off a clip and compares them with `quality` in params.yaml.
An offset of k frames compares the picture at frame t with the sound at frame t + k: where k > 0 is best, the sound is
late.
"""

import numpy as np

from model import timing

QUALITY_VERSION = 3  # raise it when a figure changes; it is part of the unit cache's keys

FULL_SCALE = 0.99  # of the sound: beyond it a sample is cut off
FLOOR_DB = -90.0
# Loudness where vowels have their first formants says more of an open mouth than all of the sound: hisses and hums
# are left out. Of nine curves tried on the training clips of seed 0 this one told right from wrong best.
VOWELS_HZ = (500.0, 1500.0)
COMPRESSION = 0.25  # exponent of the power: between amplitude and decibel
MAX_OFFSET = 12  # frames, how far sound and mouth are looked for apart
RIVAL_FRAMES = 3  # peaks nearer than this are one
SLOW_FRAMES = 41  # slower changes than this are pose and loudness, no syllables
SPEAKER_OFFSET = 3  # frames that are allowed while one looks for who speaks
RIDGE = 10.0  # of the yaw: 136 coordinates of one size, few hundred heads


def frame_levels_db(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """Loudness of each frame, dB of full scale.  Shape: (samples,) with 640 a frame -> (num_frames,)"""
    power_T = (_by_frame(sound, num_frames) ** 2).mean(axis=1)
    return np.maximum(10 * np.log10(np.maximum(power_T, 1e-12)), FLOOR_DB)


def vowel_levels(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """Loudness of each frame between VOWELS_HZ, compressed.  Shape: (samples,) with 640 a frame -> (num_frames,)"""
    windowed = _by_frame(sound, num_frames) * np.hanning(timing.SAMPLES_PER_FRAME)
    power = np.abs(np.fft.rfft(windowed, axis=1)) ** 2
    frequency_hz = np.fft.rfftfreq(timing.SAMPLES_PER_FRAME, 1 / timing.SAMPLE_RATE_HZ)
    low_hz, high_hz = VOWELS_HZ
    return power[:, (frequency_hz >= low_hz) & (frequency_hz < high_hz)].sum(axis=1) ** COMPRESSION


def _by_frame(sound: np.ndarray, num_frames: int) -> np.ndarray:
    return sound[: timing.num_samples(num_frames)].reshape(num_frames, -1).astype(np.float64)


def level_spread_db(levels_T: np.ndarray) -> float:
    """Loud frames above quiet ones (95th and 10th percentile): low where something sounds in the pauses too."""
    return float(np.percentile(levels_T, 95) - np.percentile(levels_T, 10))


def clipped_share(sound: np.ndarray) -> float:
    """Share of the samples at full scale."""
    return float((np.abs(sound) >= FULL_SCALE).mean()) if len(sound) else 0.0


# ---- where the head looks


def head_shape(landmarks_T682: np.ndarray) -> np.ndarray:
    """Landmarks without place and size.  Shape: (T, 68, 2) -> (T, 136)"""
    points = landmarks_T682.astype(np.float64)
    points = points - points.mean(axis=1, keepdims=True)
    size_T = np.sqrt((points**2).sum(axis=(1, 2)) / points.shape[1])
    return (points / np.maximum(size_T, 1e-9)[:, None, None]).reshape(len(points), -1)


def fit_yaw(landmarks_N682: np.ndarray, yaw_N: np.ndarray) -> np.ndarray:
    """Ridge regression of the yaw in degrees on `head_shape`.  Shape: (N, 68, 2), (N,) -> (137,), the last added"""
    shapes = head_shape(landmarks_N682)
    middle, mean_deg = shapes.mean(axis=0), yaw_N.mean()
    centred = shapes - middle
    squares = centred.T @ centred + RIDGE * np.eye(shapes.shape[1])
    weights = np.linalg.solve(squares, centred.T @ (yaw_N - mean_deg))
    return np.append(weights, mean_deg - middle @ weights)


def yaw_deg(landmarks_T682: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How far the head is turned, by `fit_yaw`'s weights.  Shape: (T, 68, 2), (137,) -> (T,) degrees"""
    return head_shape(landmarks_T682) @ weights[:-1] + weights[-1]


# ---- whether the mouth moves with the sound


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
