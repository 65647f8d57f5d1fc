"""A whole picture warped so that the face in it takes another pose and expression.

Within the face every point moves as the mesh does; around it, hair and neck move with the head, less and less, and
nothing moves beyond FAR face sizes. The picture's edges stay.

Shape letters: P points of the mesh, V vertices
"""

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from tasks.dubbing.blend import as_array
from tasks.features.face_track import Frame

WITH_HEAD, FAR = (1.12, 1.35), 2.4  # of the face's outline about its middle: moves rigidly up to there; nothing beyond
GRID = 96  # cells of the longer side
SOFT = 1.0  # cells: blur of the map, against folds where the mesh overlaps itself
SMALL_PX = 0.05  # smaller moves are not made


def warped(frame_HW3: Frame, own_P2: np.ndarray, wanted_P2: np.ndarray) -> Frame:
    """The picture with the face's points moved from own to wanted, px.  Shape: (H, W, 3) -> (H, W, 3) uint8"""
    if float(np.abs(wanted_P2 - own_P2).max()) < SMALL_PX:
        return frame_HW3
    height, width = frame_HW3.shape[:2]
    points_V2, offsets_V2 = vertices(own_P2, wanted_P2)
    low_2 = np.maximum(np.floor(points_V2.min(axis=0)), 0).astype(int)
    high_2 = np.minimum(np.ceil(points_V2.max(axis=0)), [width, height]).astype(int)
    if (high_2 - low_2 < 2).any():
        return frame_HW3
    map_HW2 = offsets(points_V2, offsets_V2, low_2, high_2)
    x_HW = map_HW2[..., 0] + np.arange(low_2[0], high_2[0], dtype=np.float32)
    y_HW = map_HW2[..., 1] + np.arange(low_2[1], high_2[1], dtype=np.float32)[:, None]
    source = as_array(frame_HW3)
    output = source.copy()
    output[low_2[1] : high_2[1], low_2[0] : high_2[0]] = cv2.remap(
        source, x_HW, y_HW, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return output


def vertices(own_P2: np.ndarray, wanted_P2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in the output, and the way from each to its source.  Shape: -> (V, 2), (V, 2) px"""
    outline = cv2.convexHull(wanted_P2.astype(np.float32))[:, 0]
    middle_2 = outline.mean(axis=0)
    rings = [middle_2 + size * (outline - middle_2) for size in (*WITH_HEAD, FAR)]
    back = similarity(wanted_P2, own_P2)
    moved = [ring @ back[:, :2].T + back[:, 2] - ring for ring in rings[:-1]]
    corners = np.array([[x, y] for x in (0, 1) for y in (0, 1)])
    corners = rings[-1].min(axis=0) + corners * np.ptp(rings[-1], axis=0) + 2 * np.sign(corners - 0.5)
    still = np.zeros((len(rings[-1]) + len(corners), 2))
    return np.concatenate([wanted_P2, *rings, corners]), np.concatenate([own_P2 - wanted_P2, *moved, still])


def similarity(one_P2: np.ndarray, other_P2: np.ndarray) -> np.ndarray:
    """The turn, scale and shift that lead one to the other best.  Shape: -> (2, 3)"""
    (ax, ay), (bx, by) = (points.mean(axis=0) for points in (one_P2, other_P2))
    one, other = (points @ [1, 1j] for points in (one_P2 - [ax, ay], other_P2 - [bx, by]))
    turn = np.vdot(one, other) / np.vdot(one, one)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, np.array([bx, by]) - linear @ [ax, ay]])


def offsets(points_V2: np.ndarray, offsets_V2: np.ndarray, low_2: np.ndarray, high_2: np.ndarray) -> np.ndarray:
    """The way to its source for each pixel of a box, linear within triangles.  Shape: -> (H, W, 2) float32"""
    size_2 = high_2 - low_2
    step = max(1.0, float(size_2.max()) / GRID)
    columns, rows = (max(2, int(np.ceil(side / step))) for side in size_2)
    x, y = np.meshgrid(
        low_2[0] + (np.arange(columns) + 0.5) * size_2[0] / columns - 0.5,
        low_2[1] + (np.arange(rows) + 0.5) * size_2[1] / rows - 0.5,
    )
    coarse = LinearNDInterpolator(points_V2, offsets_V2, fill_value=0.0)(x, y).astype(np.float32)
    coarse = cv2.GaussianBlur(coarse, (0, 0), SOFT)
    return cv2.resize(coarse, (int(size_2[0]), int(size_2[1])), interpolation=cv2.INTER_LINEAR)


def dissolved(one_HW3: Frame, other_HW3: Frame, share: float) -> np.ndarray:
    """share: of the other.  Shape: -> (H, W, 3) uint8"""
    return cv2.addWeighted(as_array(one_HW3), 1 - share, as_array(other_HW3), share, 0)
