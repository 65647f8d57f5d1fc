"""A face mesh over time, split into head pose and face shape, each smoothed.

Landmarks jitter by a fraction of a pixel, and a mouth placed by them jitters on the face. Head pose changes slowly and
lips fast, so each is smoothed with its own window. Smoothing is symmetric and adds no delay.

Shape letters: T frames, P points of the mesh
"""

from typing import NamedTuple

import numpy as np

from model import head_mesh

POSE_SIGMA, SHAPE_SIGMA = 1.2, 0.6  # frames
REACH = 5  # frames on either side that enter the smoothing


class Heads(NamedTuple):
    """frame = canonical @ turn + shift"""

    canonical_TP3: np.ndarray  # the face's shape on the canonical head
    turn_T33: np.ndarray
    shift_T3: np.ndarray  # px

    def mesh(self, t: int, canonical_P3: np.ndarray | None = None) -> np.ndarray:
        """The given shape (default: that of frame t) in the pose of frame t.  Shape: -> (P, 3) px"""
        shape_P3 = self.canonical_TP3[t] if canonical_P3 is None else canonical_P3
        return shape_P3 @ self.turn_T33[t] + self.shift_T3[t]


def steady(mesh_TP3: np.ndarray, pose_sigma: float = POSE_SIGMA, shape_sigma: float = SHAPE_SIGMA) -> Heads:
    """Smoothed pose and shape of consecutive frames that all have a face.  Shape: (T, 468, 3) px"""
    placed = head_mesh.place(mesh_TP3)
    canonical_TP3 = head_mesh.to_canonical(mesh_TP3.astype(np.float64), placed)
    turn_T33 = placed.rotation_T33.transpose(0, 2, 1) / placed.scale_T[:, None, None]
    origin_T13 = head_mesh.from_canonical(np.zeros((len(mesh_TP3), 1, 3)), placed)
    return Heads(
        smoothed(canonical_TP3, shape_sigma), smoothed(turn_T33, pose_sigma), smoothed(origin_T13[:, 0], pose_sigma)
    )


def smoothed(values_Tx: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing over frames; the end values are repeated beyond the ends.  Shape: (T, ...) -> same"""
    if sigma <= 0 or len(values_Tx) < 2:
        return values_Tx
    weights = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / sigma) ** 2)
    weights /= weights.sum()
    padded = np.concatenate([np.repeat(values_Tx[:1], REACH, 0), values_Tx, np.repeat(values_Tx[-1:], REACH, 0)])
    return sum(w * padded[k : k + len(values_Tx)] for k, w in enumerate(weights))  # type: ignore[return-value]


def angles_deg(heads: Heads) -> np.ndarray:
    """Yaw and pitch, which change how a mouth looks; roll does not.  Shape: -> (T, 2)"""
    forward_T3 = -heads.turn_T33[:, 2]  # the canonical head faces -z
    length_T = np.linalg.norm(forward_T3, axis=1)
    yaw_T = np.arctan2(forward_T3[:, 0], -forward_T3[:, 2])
    pitch_T = np.arcsin(np.clip(forward_T3[:, 1] / np.maximum(length_T, 1e-9), -1, 1))
    return np.degrees(np.stack([yaw_T, pitch_T], axis=1))
