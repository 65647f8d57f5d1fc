"""A head as a mesh of 468 points (MediaPipe's numbering): point indices, head pose, lip opening.

The canonical head faces the viewer: x to the viewer's right, y down, z away. Its unit is the distance between the outer
eye corners; its origin is midway between them. A mesh is aligned to it by the points that do not move in speech
(Procrustes with scale), and points on it are mapped back into the frame.

Shape letters: T frames, P points, R = 25 points not moved by speech, S = 59 points of lips, chin and surroundings
Mesh: (T, 468, 3) float, x and y in pixels of the frame, z in the same scale
"""

from typing import NamedTuple

import numpy as np

NUM_POINTS = 468
# The lips' outer ring: from the corner on the left of the picture along the lower lip to the right corner, and back
# along the upper lip; the inner ring likewise.
OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
EYES = (33, 263)  # outer corners, left and right in the picture
JAW = (152, 148, 176, 149, 150, 377, 400, 378, 379, 199, 175, 200, 18, 83, 313, 201, 421, 204, 424)
MOUTH = OUTER + INNER + JAW
LOWER_INNER = tuple(len(OUTER) + i for i in range(1, 10))  # indices into MOUTH, from corner to corner ...
UPPER_INNER = tuple(len(OUTER) + i for i in range(19, 10, -1))  # ... and the upper-lip point facing each
MIDDLE = slice(3, 6)  # the middle three of these nine pairs: 87-82, 14-13, 317-312
RESTING = 0.2  # share of a clip's frames, the least open ones, averaged for its closed mouth

# iBUG 300-W's 68 points in MediaPipe's mesh: jaw, brows, nose, eyes, lips' outer and inner edge
POINTS_68 = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip

# Source: measured for this project: mean of 6 GRID speakers (CC BY 4.0) by generalised Procrustes, made symmetric
RIGID = {
    33: (-0.500, 0.000, 0.000), 133: (-0.190, 0.022, -0.058), 362: (0.190, 0.022, -0.058), 263: (0.500, 0.000, 0.000),
    168: (0.000, -0.034, -0.245), 6: (0.000, 0.064, -0.286), 197: (0.000, 0.152, -0.335), 195: (0.000, 0.234, -0.388),
    5: (0.000, 0.321, -0.443), 10: (0.000, -0.583, -0.245), 151: (0.000, -0.403, -0.269), 9: (0.000, -0.224, -0.279),
    8: (0.000, -0.125, -0.256), 107: (-0.164, -0.240, -0.273), 336: (0.164, -0.240, -0.273),
    55: (-0.141, -0.144, -0.237), 285: (0.141, -0.144, -0.237), 226: (-0.569, 0.020, 0.042), 446: (0.569, 0.020, 0.042),
    127: (-0.775, 0.008, 0.552), 356: (0.775, 0.008, 0.552), 234: (-0.764, 0.166, 0.619), 454: (0.764, 0.166, 0.619),
    1: (0.000, 0.498, -0.431), 4: (0.000, 0.424, -0.461),
}  # fmt: skip


STORED = tuple(sorted({*RIGID, *MOUTH, *POINTS_68}))  # the points of shards: P of them
UNITS = 4096  # of a stored coordinate, in a crop's width
ABSENT = np.iinfo(np.int16).min  # stored where the mesh does not hold


class Placement(NamedTuple):
    """canonical = scale * (frame - centre) @ rotation + the centre of RIGID"""

    scale_T: np.ndarray  # canonical units per pixel
    rotation_T33: np.ndarray
    centre_T3: np.ndarray  # px


def landmarks(mesh_T4683: np.ndarray) -> np.ndarray:
    """iBUG's 68 points; frames without a mesh have those between the nearest two.  Shape: -> (T, 68, 2)"""
    points_T682 = mesh_T4683[:, list(POINTS_68), :2]
    held_T = np.isfinite(points_T682).all(axis=(1, 2))
    if held_T.all() or not held_T.any():
        return points_T682
    frames, at = np.arange(len(held_T)), np.flatnonzero(held_T)
    columns = [np.interp(frames, at, of_T[at]) for of_T in points_T682.reshape(len(held_T), -1).T]
    return np.stack(columns, axis=1).reshape(points_T682.shape).astype(points_T682.dtype)


def in_crops(mesh_T4683: np.ndarray, boxes_T4: np.ndarray, size: int) -> np.ndarray:
    """Meshes in the pixels of crops, `size` wide, of these boxes of the frame.  Shape: -> (T, 468, 3)"""
    scale_T2 = size / (boxes_T4[:, 2:] - boxes_T4[:, :2])
    xy_T4682 = (mesh_T4683[..., :2] - boxes_T4[:, None, :2]) * scale_T2[:, None]
    return np.concatenate([xy_T4682, mesh_T4683[..., 2:] * scale_T2[:, None, :1]], axis=2).astype(np.float32)


def packed(mesh_T4683: np.ndarray, size: int) -> np.ndarray:
    """The STORED points of a mesh in a crop, in 1/UNITS of the crop's width; ABSENT where it is nan.

    Shape: (T, 468, 3) px of a crop, `size` wide -> (T, P, 3) int16
    """
    units_TP3 = np.clip(np.round(mesh_T4683[:, list(STORED)] * (UNITS / size)), ABSENT + 1, -(ABSENT + 1))
    return np.where(np.isfinite(units_TP3), units_TP3, ABSENT).astype(np.int16)


def unpacked(units_TP3: np.ndarray, size: int) -> np.ndarray:
    """The inverse of `packed`; nan where the mesh does not hold, and for points not stored.  Shape: -> (T, 468, 3)"""
    mesh_T4683 = np.full((len(units_TP3), NUM_POINTS, 3), np.nan, np.float32)
    mesh_T4683[:, list(STORED)] = np.where(units_TP3 == ABSENT, np.nan, units_TP3 * np.float32(size / UNITS))
    return mesh_T4683


def place(mesh_T4683: np.ndarray) -> Placement:
    """The alignment of each frame's mesh to the canonical head; nan where the mesh is nan.

    Source: Umeyama 1991, least squares with scale and without reflection
    """
    points_TR3 = mesh_T4683[:, list(RIGID)].astype(np.float64)
    target_R3, target_centre_3 = _rigid()
    centre_T3 = points_TR3.mean(axis=1)
    missing_T = ~np.isfinite(centre_T3).all(axis=1)
    centred_TR3 = points_TR3 - centre_T3[:, None]
    centred_TR3[missing_T] = target_R3 - target_centre_3
    left_T33, size_T3, right_T33 = np.linalg.svd(centred_TR3.transpose(0, 2, 1) @ (target_R3 - target_centre_3))
    sign_T3 = np.ones_like(size_T3)
    sign_T3[:, 2] = np.sign(np.linalg.det(left_T33 @ right_T33))
    scale_T = (size_T3 * sign_T3).sum(axis=1) / np.square(centred_TR3).sum(axis=(1, 2))
    scale_T[missing_T] = np.nan
    return Placement(scale_T, (left_T33 * sign_T3[:, None]) @ right_T33, centre_T3)


def to_canonical(points_TP3: np.ndarray, placed: Placement) -> np.ndarray:
    """Shape: (T, P, 3) px -> (T, P, 3) canonical"""
    moved_TP3 = (points_TP3 - placed.centre_T3[:, None]) @ placed.rotation_T33
    return placed.scale_T[:, None, None] * moved_TP3 + _rigid()[1]


def from_canonical(points_TP3: np.ndarray, placed: Placement) -> np.ndarray:
    """Shape: (T, P, 3) canonical -> (T, P, 3) px"""
    moved_TP3 = (points_TP3 - _rigid()[1]) @ placed.rotation_T33.transpose(0, 2, 1)
    return moved_TP3 / placed.scale_T[:, None, None] + placed.centre_T3[:, None]


def pose_deg(placed: Placement) -> np.ndarray:
    """Yaw (positive: the nose points to the viewer's right), pitch (positive: down), roll (positive: clockwise).

    Shape: -> (T, 3) degrees
    """
    forward_T3 = -placed.rotation_T33[:, :, 2]  # direction of the nose in the frame
    yaw_T = np.arctan2(forward_T3[:, 0], -forward_T3[:, 2])
    pitch_T = np.arcsin(np.clip(forward_T3[:, 1], -1, 1))
    across_T3 = placed.rotation_T33[:, :, 0]  # from the left eye to the right eye
    roll_T = np.arctan2(across_T3[:, 1], np.hypot(across_T3[:, 0], across_T3[:, 2]))
    return np.degrees(np.stack([yaw_T, pitch_T, roll_T], axis=1))


def mouths(mesh_T4683: np.ndarray) -> np.ndarray:
    """The MOUTH points on the canonical head.  Shape: -> (T, 59, 3)"""
    return to_canonical(mesh_T4683[:, list(MOUTH)].astype(np.float64), place(mesh_T4683))


def opening(mesh_T4683: np.ndarray) -> np.ndarray:
    """Gap between the inner lips at the middle, in distances between the outer eye corners.  Shape: -> (T,)"""
    return mouth_opening(mouths(mesh_T4683))


def mouth_opening(mouth_TS3: np.ndarray) -> np.ndarray:
    """`opening`, for the output of `mouths`.  Shape: (T, 59, 3) -> (T,)"""
    gap_T9 = mouth_TS3[:, LOWER_INNER, 1] - mouth_TS3[:, UPPER_INNER, 1]
    return gap_T9[:, MIDDLE].mean(axis=1)


def closed_mouth(mouth_TS3: np.ndarray) -> np.ndarray:
    """A clip's mouth at rest: the mean of the least open fifth of its frames.  Shape: -> (59, 3)"""
    open_T = mouth_opening(mouth_TS3)
    return mouth_TS3[open_T <= np.quantile(open_T, RESTING)].mean(axis=0)


def without_overlap(mouth_TS3: np.ndarray) -> np.ndarray:
    """Where the lips cross, both inner points move to their midpoint.  Shape: (T, 59, 3) -> the same shape, a copy"""
    mouth_TS3 = mouth_TS3.copy()
    lower_T9, upper_T9 = mouth_TS3[:, LOWER_INNER, 1], mouth_TS3[:, UPPER_INNER, 1]
    crossing_T9 = np.maximum(upper_T9 - lower_T9, 0) / 2
    mouth_TS3[:, LOWER_INNER, 1], mouth_TS3[:, UPPER_INNER, 1] = lower_T9 + crossing_T9, upper_T9 - crossing_T9
    return mouth_TS3


def _rigid() -> tuple[np.ndarray, np.ndarray]:
    """The points of RIGID and their centre.  Shape: -> (25, 3), (3,)"""
    points_R3 = np.array(list(RIGID.values()))
    return points_R3, points_R3.mean(axis=0)
