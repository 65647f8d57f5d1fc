"""A face mesh through time, split into the head's pose and the face's shape, both steadied.

Landmarks tremble by a part of a pixel, and a mouth that is laid on them trembles on the face. Pose and shape move at
different speeds, so each is smoothed with a window of its own: the pose of a head changes slowly, a lip fast.
Smoothing is symmetric: nothing comes late.

Shape letters: T frames, P points of the mesh
"""

from typing import NamedTuple

import numpy as np

from model import head_mesh

POSE_SIGMA, SHAPE_SIGMA = 1.2, 0.6  # frames
REACH = 5  # frames to either side that decide a smoothed one


class Heads(NamedTuple):
    """frame = canonical @ turn + shift"""

    canonical_TP3: np.ndarray  # the shape, on the canonical head
    turn_T33: np.ndarray
    shift_T3: np.ndarray  # px

    def mesh(self, t: int, canonical_P3: np.ndarray | None = None) -> np.ndarray:
        """The shape of frame t, or another one, in its pose.  Shape: -> (P, 3) px"""
        shape_P3 = self.canonical_TP3[t] if canonical_P3 is None else canonical_P3
        return shape_P3 @ self.turn_T33[t] + self.shift_T3[t]


def steady(mesh_TP3: np.ndarray, pose_sigma: float = POSE_SIGMA, shape_sigma: float = SHAPE_SIGMA) -> Heads:
    """The heads of consecutive frames in which the face was found.  Shape: (T, 468, 3) px"""
    placed = head_mesh.place(mesh_TP3)
    canonical_TP3 = head_mesh.to_canonical(mesh_TP3.astype(np.float64), placed)
    turn_T33 = placed.rotation_T33.transpose(0, 2, 1) / placed.scale_T[:, None, None]
    origin_T13 = head_mesh.from_canonical(np.zeros((len(mesh_TP3), 1, 3)), placed)
    return Heads(
        smoothed(canonical_TP3, shape_sigma), smoothed(turn_T33, pose_sigma), smoothed(origin_T13[:, 0], pose_sigma)
    )


def smoothed(values_Tx: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian over the frames; the first and the last one are held beyond the ends.  Shape: (T, ...) -> the same"""
    if sigma <= 0 or len(values_Tx) < 2:
        return values_Tx
    weights = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / sigma) ** 2)
    weights /= weights.sum()
    ends = np.concatenate([np.repeat(values_Tx[:1], REACH, 0), values_Tx, np.repeat(values_Tx[-1:], REACH, 0)])
    return sum(w * ends[k : k + len(values_Tx)] for k, w in enumerate(weights))  # type: ignore[return-value]


def angles_deg(heads: Heads) -> np.ndarray:
    """Yaw and pitch, which change what is seen of a mouth; roll does not.  Shape: -> (T, 2)"""
    forward_T3 = -heads.turn_T33[:, 2]  # the canonical head looks against z
    length_T = np.linalg.norm(forward_T3, axis=1)
    yaw_T = np.arctan2(forward_T3[:, 0], -forward_T3[:, 2])
    pitch_T = np.arcsin(np.clip(forward_T3[:, 1] / np.maximum(length_T, 1e-9), -1, 1))
    return np.degrees(np.stack([yaw_T, pitch_T], axis=1))
