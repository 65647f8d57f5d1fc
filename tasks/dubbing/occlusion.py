"""Whether something covers a mouth, such as a hand or a microphone.

Each frame keeps a small colour picture of the lower face, aligned by the eyes and the nose. A mouth is covered where
that differs too much from the clip's usual one, beside the mouth itself, which moves anyway, or where the red of the
lips is gone. What covers the mouth in most frames of a clip is found only if its colour is not the skin's, as a mask's
or a microphone's.

Shape letters: N frames, K = 12 x 18 x 3 values of a small picture, H and W its rows and columns
"""

from collections.abc import Iterator

import cv2
import numpy as np
from scipy.ndimage import binary_closing

from tasks.features.affine import Frame, cut

ROWS, COLUMNS = 12, 18
ACROSS, BELOW = 1.3, 0.38  # width of the picture, and its middle below the nose, in distances between the eyes' corners
# Chosen on GRID and rendered clips with planted hands and microphones; measured by benchmarks/covers.py
LEVELS, TIMES, USUAL = 6.0, 2.75, 30  # mean difference, of 255; and relative to this percentile of the clip's
UNLIKE = 0.3  # covered below this correlation with the usual picture
# the lips are gone if less than this share of their usual red is left, if that is as many levels of red above green
PALE, RED = 0.15, 8.0
# A mask: its colour is this far from the skin's between the brows, and no lips in it are redder by this, in CIELAB.
# In 54 frames of GRID at most 13 and at least 6, with a painted beard 35 and 6; with masks at least 20 and at most 3
FOREIGN, LIPLESS = 16.0, 4.5
# A microphone before the mouth: in the usual picture one thing of another colour than the skin's covers these shares of
# the lips and of what is beside them. Of the lips: 14 people of GRID 0, painted beards at most 0.17; a microphone drawn
# throughout 0.42 to 0.83, but 0.17 with one of them
BLOCKED, REACHING = 0.3, 0.05
BROWS, ROOM = (21, 22, 27), 0.06  # inner ends of the brows and the nose's root; size of the place, in eye distances
BRIGHTER = 15  # levels of common brightness that do not count
CLOSING = 2  # gaps of this many frames between covered ones count as covered
SAMPLES, CHUNK = 500, 512  # frames whose median is the usual picture; frames compared at a time

_ACROSS_HW, _DOWN_HW = np.meshgrid((np.arange(COLUMNS) + 0.5) / COLUMNS, (np.arange(ROWS) + 0.5) / COLUMNS)
MOUTH_HW = ((_ACROSS_HW - 0.5) / 0.208) ** 2 + ((_DOWN_HW - 0.333) / 0.146) ** 2 < 1
_FACE_HW = ((_ACROSS_HW - 0.5) / 0.52) ** 2 + ((_DOWN_HW - 0.25) / 0.458) ** 2 < 1
BESIDE_HW = _FACE_HW & ~MOUTH_HW  # cheeks, upper lip and chin
LIPS_HW = (np.abs(_ACROSS_HW - 0.5) < 0.14) & (np.abs(_DOWN_HW - 0.333) < 0.06)  # two rows of six cells


def lower_face(frame_HW3: Frame, points_682: np.ndarray) -> np.ndarray:
    """Shape: (H, W, 3) uint8, a frame or a crop, its 68 points, px -> (K,) uint8"""
    points_682 = points_682.astype(np.float64)
    left_2, right_2, nose_2 = points_682[[36, 45, 33]]
    eyes_2 = right_2 - left_2
    eyes_px = max(float(np.linalg.norm(eyes_2)), 1.0)
    middle_2 = nose_2 + BELOW * np.array([-eyes_2[1], eyes_2[0]])
    across_2 = eyes_2 / eyes_px * COLUMNS / (ACROSS * eyes_px)
    turn_22 = np.array([across_2, [-across_2[1], across_2[0]]])
    shift_2 = np.array([COLUMNS, ROWS]) / 2 - turn_22 @ middle_2
    return cut(frame_HW3, np.column_stack([turn_22, shift_2]), (ROWS, COLUMNS)).ravel()


def skin(face_SS3: np.ndarray, points_682: np.ndarray) -> np.ndarray:
    """The colour between the brows, which no mask reaches.  Shape: (S, S, 3) uint8, its 68 points, px -> (3,) uint8"""
    x, y = points_682[list(BROWS)].mean(axis=0).astype(int).clip(0, len(face_SS3) - 1).tolist()
    room = max(1, round(ROOM * float(np.linalg.norm(points_682[45] - points_682[36]))))
    place = face_SS3[max(0, y - room) : y + room + 1, max(0, x - room) : x + room + 1]
    return np.median(place.reshape(-1, 3), axis=0).astype(np.uint8)


def masked(lows_NK: np.ndarray, skin_3: np.ndarray) -> np.ndarray:
    """Whether a mask, a scarf or the like covers the lower face in each frame: its colour is not that of the skin, and
    there are no lips in it, as there are in a beard.

    Shape: (N, K) uint8, (3,) uint8 -> (N,) bool
    """
    lab_NHW3 = cielab(lows_NK.reshape(-1, COLUMNS, 3)).reshape(-1, ROWS, COLUMNS, 3)
    beside_N2 = np.median(lab_NHW3[:, BESIDE_HW, 1:], axis=1)
    foreign_N = np.linalg.norm(beside_N2 - cielab(skin_3[None, None])[0, 0, 1:], axis=1) > FOREIGN
    redder_N = np.percentile(lab_NHW3[:, MOUTH_HW, 1], 75, axis=1) - beside_N2[:, 0]
    return foreign_N & (redder_N < LIPLESS)


def blocked(lows_NK: np.ndarray, found_N: np.ndarray, skin_3: np.ndarray) -> bool:
    """Whether a microphone or the like is before the lips in most frames: its colour is not that of skin or lips, and
    it reaches beyond the mouth, which its dark inside and teeth do not.

    Shape: (N, K) uint8, (N,) bool, (3,) uint8
    """
    if not found_N.any():
        return False
    lab_HW3 = cielab(_usual(lows_NK, found_N).astype(np.uint8))
    foreign_HW = np.linalg.norm(lab_HW3[..., 1:] - cielab(skin_3[None, None])[0, 0, 1:], axis=2) > FOREIGN
    redder_HW = lab_HW3[..., 1] - np.median(lab_HW3[BESIDE_HW, 1]) > LIPLESS
    num, things_HW = cv2.connectedComponents((foreign_HW & ~redder_HW).astype(np.uint8), connectivity=4)
    things = [things_HW == number for number in range(1, num)]
    return any(one[LIPS_HW].mean() > BLOCKED and one[BESIDE_HW].mean() > REACHING for one in things)


def cielab(picture_HW3: np.ndarray) -> np.ndarray:
    """Shape: (H, W, 3) uint8 RGB -> (H, W, 3) float32"""
    return cv2.cvtColor(picture_HW3.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def covered(lows_NK: np.ndarray, found_N: np.ndarray) -> np.ndarray:
    """Whether something covers the mouth in each frame of a face.  Shape: (N, K) uint8, (N,) bool -> (N,) bool"""
    seen = np.flatnonzero(found_N)
    if not len(seen):
        return np.zeros(len(found_N), bool)
    usual_HW3 = _usual(lows_NK, found_N)
    away_N, alike_N, red_N = (np.concatenate(parts) for parts in zip(*_compared(lows_NK, usual_HW3), strict=True))
    limit = max(LEVELS, TIMES * float(np.percentile(away_N[seen], USUAL)))
    usual_red = float(np.median(red_N[seen]))
    bad_N = (away_N > limit) | (alike_N < UNLIKE) | ((usual_red > RED) & (red_N < PALE * usual_red))
    return binary_closing(np.pad(bad_N, CLOSING), iterations=CLOSING)[CLOSING:-CLOSING]


def _usual(lows_NK: np.ndarray, found_N: np.ndarray) -> np.ndarray:
    """The median picture of the frames with a face, of which there is one.  Shape: -> (ROWS, COLUMNS, 3) float32"""
    seen = np.flatnonzero(found_N)
    sampled = seen[np.linspace(0, len(seen) - 1, min(SAMPLES, len(seen))).round().astype(int)]
    return np.median(lows_NK[sampled], axis=0).reshape(ROWS, COLUMNS, 3).astype(np.float32)


def _compared(lows_NK: np.ndarray, usual_HW3: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Difference from the usual picture, correlation with it, and red of the lips above the skin's, chunk by chunk."""
    shifts = np.lib.stride_tricks.sliding_window_view(
        np.pad(usual_HW3, ((1, 1), (1, 1), (0, 0)), "edge"), usual_HW3.shape
    ).reshape(-1, *usual_HW3.shape)
    beside_K3 = usual_HW3[BESIDE_HW]
    grey_K = (usual_HW3 - usual_HW3.mean()).mean(axis=2).ravel()
    for start in range(0, len(lows_NK), CHUNK):
        lows_NHW3 = lows_NK[start : start + CHUNK].reshape(-1, ROWS, COLUMNS, 3).astype(np.float32)
        red_NHW = lows_NHW3[..., 0] - lows_NHW3[..., 1]
        red_N = np.percentile(red_NHW[:, MOUTH_HW], 75, axis=1) - np.median(red_NHW[:, BESIDE_HW], axis=1)
        greys_NK = lows_NHW3.mean(axis=3).reshape(len(lows_NHW3), -1)
        greys_NK = greys_NK - greys_NK.mean(axis=1, keepdims=True)
        norms_N = np.linalg.norm(greys_NK, axis=1) * np.linalg.norm(grey_K)
        brighter_N3 = np.clip(lows_NHW3[:, BESIDE_HW].mean(axis=1) - beside_K3.mean(axis=0), -BRIGHTER, BRIGHTER)
        lows_NHW3 -= brighter_N3[:, None, None]
        # of the nearest cell: an edge that moves by a cell is no difference
        nearest_NHW = np.min([np.abs(lows_NHW3 - shifted).max(axis=3) for shifted in shifts], axis=0)
        yield nearest_NHW[:, BESIDE_HW].mean(axis=1), greys_NK @ grey_K / np.maximum(norms_N, 1e-6), red_N
