"""Accuracy of lip points against a reference: the metrics released with the weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from model.head_mesh import EYES
from model.lips import FACING, LIPS
from tasks.features.lip_refiner import LipRefiner
from tasks.lips import reference, rendered
from tasks.lips.reference import Clip

NEAR = 0.05  # eye distances


@dataclass(frozen=True, slots=True)
class Lips:
    """Metrics of one clip, or the mean over several. Lengths in eye distances of the reference.

    opening_r          correlation of the opening at the middle over the frames
    opening_amplitude  its standard deviation over the reference's: 1 is equal motion
    opening_error      its mean absolute error
    middle_near        share of frames whose lip centre is within NEAR of the reference's
    point_error        mean distance of the 40 points
    """

    opening_r: float
    opening_amplitude: float
    opening_error: float
    middle_near: float
    point_error: float

    def as_json(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def compare(lips_T402: np.ndarray, truth_T402: np.ndarray, eye_T: np.ndarray) -> Lips:
    """Shape: (T, 40, 2), (T, 40, 2) px, (T,) px"""
    opening_T, true_T = opening(lips_T402) / eye_T, opening(truth_T402) / eye_T
    centre_error_T = np.linalg.norm((lips_T402 - truth_T402).mean(axis=1), axis=1) / eye_T
    return Lips(
        opening_r=float(np.corrcoef(opening_T, true_T)[0, 1]),
        opening_amplitude=float(opening_T.std() / true_T.std()),
        opening_error=float(np.abs(opening_T - true_T).mean()),
        middle_near=float((centre_error_T < NEAR).mean()),
        point_error=float((np.linalg.norm(lips_T402 - truth_T402, axis=2).mean(axis=1) / eye_T).mean()),
    )


def opening(lips_T402: np.ndarray) -> np.ndarray:
    """Gap between the inner lips at the middle, px; negative where they cross.  Shape: (T, 40, 2) -> (T,)"""
    lower, upper = FACING[0]
    gap_T2 = lips_T402[:, lower] - lips_T402[:, upper]
    return np.linalg.norm(gap_T2, axis=1) * np.sign(gap_T2[:, 1])


def clip(one: Clip, refiner: LipRefiner | None) -> Lips:
    """Metrics of a clip against its reference; without a refiner, those of the mesh's own lips."""
    frames = list(reference.meshes(one))
    mesh_T4683 = np.array([mesh.points_4683 for _, _, mesh in frames])
    if refiner:
        crops = [refiner.crop(frame_HW3, mesh.points_4683) for _, frame_HW3, mesh in frames]
        mesh_T4683 = refiner(np.array(crops), mesh_T4683)
    at = [t for t, _, _ in frames]
    eye_T = np.linalg.norm(one.eyes_T22[at, 1] - one.eyes_T22[at, 0], axis=1)
    return compare(mesh_T4683[:, LIPS, :2], one.truth_T402[at], eye_T)


def rendered_heads(seed: int, start: int, count: int, refiner: LipRefiner | None) -> Lips:
    """Metrics of rendered people's mouths against the truth, pooled as one clip."""
    frames = list(rendered.meshes(seed, start, count))
    mesh_N4683 = np.array([mesh.points_4683 for _, mesh in frames])
    eye_N = np.linalg.norm(mesh_N4683[:, EYES[1], :2] - mesh_N4683[:, EYES[0], :2], axis=1)
    if refiner:
        crops = [refiner.crop(frame.rgb_SS3, mesh.points_4683) for frame, mesh in frames]
        mesh_N4683 = refiner(np.array(crops), mesh_N4683)
    return compare(mesh_N4683[:, LIPS, :2], np.array([frame.lips_402 for frame, _ in frames]), eye_N)


def mean(rows: Sequence[Lips]) -> Lips:
    return Lips(*np.mean([list(asdict(row).values()) for row in rows], axis=0).tolist())


def people(folder: Path, names: Sequence[str], refiner: LipRefiner | None, most_clips: int) -> dict[str, Lips]:
    """Each person's mean over their first `most_clips` clips."""
    return {name: mean([clip(one, refiner) for one in reference.clips(folder, name)[:most_clips]]) for name in names}
