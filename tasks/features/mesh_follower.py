"""Follows the mesh of one face through a video, from one key frame of the detector to the next.

The mesh model sees every EVERY-th frame; in between the mesh is interpolated. The lips are read in every frame, by the
lip refiner, whose crop follows the interpolated mesh. Memory holds the frames of one run and the meshes.
"""

from collections.abc import Sequence

import numpy as np

from tasks.features.affine import Frame
from tasks.features.face_mesh import NUM_POINTS, Mesh, MeshTrack, Tracker
from tasks.features.lip_refiner import LipRefiner

EVERY = 2  # on GRID the opening of frames in between is read as well as in the others

Box = np.ndarray | None


class MeshFollower:
    """`dense`: a mesh in every frame; otherwise only in key frames, the last of each run."""

    def __init__(self, refiner: LipRefiner, dense: bool) -> None:
        self.refiner, self.dense = refiner, dense
        self._tracker = Tracker()
        self._last: Mesh | None = None
        self._runs: list[MeshTrack] = []

    def add(self, frames: Sequence[Frame], boxes: Sequence[Box]) -> list[Mesh | None]:
        """The meshes of the next run of frames, before their lips are refined.

        boxes   the detector's, None where it has none
        """
        num = len(frames)
        meshes: list[Mesh | None] = [None] * num
        before, low = self._last, -1
        for high in range((num - 1) % EVERY if self.dense else num - 1, num, EVERY):
            meshes[high] = self._tracker.step(frames[high], boxes[high])
            if self.dense:
                gap = slice(low + 1, high)
                meshes[gap] = _between(frames[gap], boxes[gap], before, meshes[high])
            before, low = meshes[high], high
        self._last = meshes[-1]
        self._runs.append(self._refined(frames, meshes))
        return meshes

    def track(self) -> MeshTrack:
        """The whole track, with refined lips."""
        runs = self._runs or [_unrefined([])]
        return MeshTrack(*(np.concatenate([getattr(run, name) for run in runs]) for name in MeshTrack.__slots__))

    def _refined(self, frames: Sequence[Frame], meshes: Sequence[Mesh | None]) -> MeshTrack:
        run = _unrefined(meshes)
        if run.found_T.any():
            found = zip(frames, meshes, strict=True)
            crops = [self.refiner.crop(frame_HW3, mesh.points_4683) for frame_HW3, mesh in found if mesh]
            run.mesh_T4683[run.found_T] = self.refiner(np.array(crops), run.mesh_T4683[run.found_T])
        return run


def _between(
    frames: Sequence[Frame], boxes: Sequence[Box], before: Mesh | None, after: Mesh | None
) -> list[Mesh | None]:
    """The meshes between two that were looked for: on a line, or looked for one by one where one of the two is lost."""
    if before is None or after is None:
        tracker = Tracker(last=before)
        return [tracker.step(frame_HW3, box) for frame_HW3, box in zip(frames, boxes, strict=True)]
    shares = np.arange(1, len(frames) + 1) / (len(frames) + 1)
    step_4683, score = after.points_4683 - before.points_4683, min(before.score, after.score)
    return [Mesh((before.points_4683 + share * step_4683).astype(np.float32), score) for share in shares]


def _unrefined(meshes: Sequence[Mesh | None]) -> MeshTrack:
    nowhere_4683 = np.full((NUM_POINTS, 3), np.nan, np.float32)
    points = [nowhere_4683 if mesh is None else mesh.points_4683 for mesh in meshes]
    return MeshTrack(
        np.array(points, np.float32).reshape(-1, NUM_POINTS, 3),
        np.array([0.0 if mesh is None else mesh.score for mesh in meshes], np.float32),
        np.array([mesh is not None for mesh in meshes], bool),
    )
