"""Audio-video offset: how many frames the sound is later than the mouth.

An offset of k frames compares the picture at frame t with the sound at frame t + k: if k > 0 is best, the sound is
late. The mouth and what the sound predicts of it are compared in several cues (`mouth_cues`, `sound_cues`).

Shape letters: T frames, C = 7 cues, N faces, S mouth points, K components of the motion network
"""

import numpy as np

from model import head_mesh
from model.motion import Shapes

QUALITY_VERSION = 5  # of this module, loudness and head_mesh: raise it when a figure changes; it is in the unit keys

MAX_OFFSET = 12  # frames, the largest offset searched
RIVAL_FRAMES = 3  # peaks nearer than this count as one
SLOW_FRAMES = 31  # slower changes than this are pose and loudness, not syllables
SPEAKER_OFFSET = 3  # frames of offset allowed when the speaking face is chosen
STILL = 0.01  # eye distances: a mouth whose opening deviates by so little counts half
LEAST_HELD = 0.8  # share of frames with a mesh; with fewer there is no offset
# Of the first six components and of the loudness. The network predicts filmed mouths best; the loudness of vowels is
# the better cue for rendered heads. Chosen on the people and rendered clips that trained the network: a discriminant
# between right sounds and others, rounded.
WEIGHT_C = np.array([0.25, 0.2, 0.05, 0.1, 0.05, 0.1, 0.25])
NUM_COMPONENTS = len(WEIGHT_C) - 1


def mouth_cues(mesh_T4683: np.ndarray, shapes: Shapes) -> np.ndarray:
    """Components and opening of a measured mouth; frames without a mesh repeat the nearest.

    Shape: (T, 468, 3) px, nan where there is no mesh -> (T, C); all zero if fewer than LEAST_HELD have one
    """
    held_N = np.flatnonzero(np.isfinite(mesh_T4683).all(axis=(1, 2)))
    if len(held_N) < max(LEAST_HELD * len(mesh_T4683), 1):
        return np.zeros((len(mesh_T4683), len(WEIGHT_C)))
    mouth_NS3 = head_mesh.mouths(mesh_T4683[held_N])
    code_NK = shapes.codes(mouth_NS3 - mouth_NS3.mean(axis=0))  # a constant shift changes no correlation
    cues_NC = np.column_stack([code_NK[:, :NUM_COMPONENTS], head_mesh.mouth_opening(mouth_NS3)])
    return cues_NC[np.abs(np.arange(len(mesh_T4683))[:, None] - held_N).argmin(axis=1)]


def sound_cues(code_TK: np.ndarray, levels_T: np.ndarray) -> np.ndarray:
    """What each cue of the mouth is compared with: the network's components, and `loudness.vowel_levels`.

    Shape: (T, K), (T,) -> (T, C)
    """
    return np.column_stack([code_TK[:, :NUM_COMPONENTS], levels_T])


def offset(mouth_TC: np.ndarray, sound_TC: np.ndarray) -> tuple[int, float]:
    """How many frames the sound is later than the mouth, and how certain that is.

    The best of all offsets up to MAX_OFFSET. The confidence is the mean of its correlation, of what that is above the
    next highest peak, and of the correlation in the worse half of the clip: foreign sound seldom reaches all three.
    Shape: (T, C), (T, C) -> offset, confidence in [0, 4/3]; (0, 0.0) if the clip is too short or nothing moves
    """
    reach = min(MAX_OFFSET, len(mouth_TC) // 3)
    if reach < RIVAL_FRAMES:
        return 0, 0.0
    mouth_TC, sound_TC = _quick(mouth_TC), _quick(sound_TC)
    fits = {late: _fit(*_overlap(mouth_TC, sound_TC, late)) for late in range(-reach, reach + 1)}
    best = max(fits, key=lambda late: (fits[late], -abs(late)))
    rival = max(fit for late, fit in fits.items() if abs(late - best) >= RIVAL_FRAMES)
    halves = zip(*(np.array_split(side, 2) for side in _overlap(mouth_TC, sound_TC, best)), strict=True)
    worse = min(_fit(one_TC, other_TC) for one_TC, other_TC in halves)
    return best, max(fits[best] + (fits[best] - rival) + worse, 0.0) / 3


def speaking(mouths_NTC: np.ndarray, sound_TC: np.ndarray) -> int:
    """Index of the speaking face: the one whose mouth best follows the sound, up to a few frames of offset.

    A mouth that hardly moves counts less: it may correlate by chance. One that moves far does not count more: people
    differ by a factor of two.
    Shape: (N, T, C), (T, C) -> index
    """
    reach, sound_TC = min(SPEAKER_OFFSET, len(sound_TC) // 3), _quick(sound_TC)
    scores = []
    for mouth_TC in map(_quick, mouths_NTC):
        fit = max(_fit(*_overlap(mouth_TC, sound_TC, late)) for late in range(-reach, reach + 1))
        moves = float(mouth_TC[:, -1].std())
        scores.append(max(fit, 0.0) * moves / (moves + STILL))
    return int(np.argmax(scores))


def _overlap(mouth_TC: np.ndarray, sound_TC: np.ndarray, late: int) -> tuple[np.ndarray, np.ndarray]:
    """The frames that overlap when the sound is `late` frames late."""
    num_frames = len(mouth_TC)
    return mouth_TC[max(-late, 0) : num_frames - max(late, 0)], sound_TC[max(late, 0) : num_frames + min(late, 0)]


def _fit(one_TC: np.ndarray, other_TC: np.ndarray) -> float:
    """Weighted mean of the cues' correlations; 0 for a cue that does not move."""
    one_TC, other_TC = one_TC - one_TC.mean(axis=0), other_TC - other_TC.mean(axis=0)
    scale_C = np.sqrt((one_TC**2).sum(axis=0) * (other_TC**2).sum(axis=0))
    return float(WEIGHT_C @ ((one_TC * other_TC).sum(axis=0) / np.where(scale_C > 1e-12, scale_C, np.inf)))


def _quick(series_TC: np.ndarray) -> np.ndarray:
    """High-pass: removes changes slower than SLOW_FRAMES.  Shape: (T, C) -> (T, C)"""
    half = SLOW_FRAMES // 2
    kernel = np.hanning(SLOW_FRAMES + 2)[1:-1]
    padded = np.pad(series_TC, ((half, half), (0, 0)), mode="reflect" if len(series_TC) > half else "edge")
    slow_TC = np.stack([np.convolve(of_T, kernel / kernel.sum(), "valid") for of_T in padded.T], axis=1)
    return np.asarray(series_TC - slow_TC)
