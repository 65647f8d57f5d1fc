"""The face mesh: 468 points of one face in every frame, with depth, and a score per face.

The model's input is a square around the face, rotated so that the eyes are level. The first square comes from a
detector box, each further one from the previous frame's mesh, so a face that the detector loses is still tracked.

Points are (x, y, z) in pixels of the frame, x and y from its top left corner, pixel i covers [i, i + 1); z has the same
scale, smaller is nearer to the camera, 0 is near the centre of the head.

Source: MediaPipe's face landmark graph (crop of 1.5 times the mesh's box along the eyes, score, tracking)
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from model import faces
from model.head_mesh import EYES, NUM_POINTS
from tasks.features import mesh_model
from tasks.features.affine import Frame, cut
from tasks.features.lip_refiner import LipRefiner

INPUT_PX = 192
AROUND = 1.5  # side of the square, in widths of the detector's box or of the mesh
HELD = 0.5  # lowest score at which the mesh counts as tracking a face

GREETING = b"INFO: Created TensorFlow Lite"  # written to file descriptor 2 once per process; no option turns it off

_one_swap = threading.Lock()  # file descriptor 2 is the whole process's: a second swap inside a first would keep it
_of_thread = threading.local()


class Region(NamedTuple):
    """A rotated square of a frame."""

    centre_2: np.ndarray
    side_px: float
    roll_rad: float  # of the eyes' line, clockwise in the picture


class Mesh(NamedTuple):
    points_4683: np.ndarray  # float32
    score: float  # 0 .. 1


@dataclass(frozen=True, slots=True)
class MeshTrack:
    """One face through a clip.

    mesh_T4683  float32, px of the frame; nan where no face is tracked
    score_T     float32, 0 .. 1; 0 where no face is tracked
    found_T     bool: the face is tracked in this frame
    """

    mesh_T4683: np.ndarray
    score_T: np.ndarray
    found_T: np.ndarray


class FaceMesh:
    """The model on one core. Not thread-safe: see `of_this_thread`.

    Errors: UserError where the model file is missing, truncated or a different file
    """

    def __init__(self) -> None:
        with _without(GREETING):
            self._interpreter = Interpreter(model_content=mesh_model.verified(), num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        sizes = {int(np.prod(out["shape"])): out["index"] for out in self._interpreter.get_output_details()}
        self._points, self._score = sizes[3 * NUM_POINTS], sizes[1]

    def __call__(self, frame_HW3: Frame, region: Region) -> Mesh:
        """The mesh of a square of a frame; it is always returned, and its score says whether there is a face."""
        to_input_23 = placement(region, INPUT_PX)
        square_SS3 = cut(frame_HW3, to_input_23, (INPUT_PX, INPUT_PX))
        self._interpreter.set_tensor(self._input, square_SS3[None].astype(np.float32) / 255)
        self._interpreter.invoke()
        points_4683 = self._interpreter.get_tensor(self._points).reshape(NUM_POINTS, 3).astype(np.float64)
        logit = float(self._interpreter.get_tensor(self._score).item())
        xy_4682 = (points_4683[:, :2] - to_input_23[:, 2]) @ np.linalg.inv(to_input_23[:, :2]).T
        z_468 = points_4683[:, 2] * (region.side_px / INPUT_PX)
        score = 1 / (1 + np.exp(-logit))
        return Mesh(np.concatenate([xy_4682, z_468[:, None]], axis=1).astype(np.float32), float(score))


def of_this_thread() -> FaceMesh:
    """This thread's interpreter, created on first use: an interpreter holds the state of its current frame."""
    if not hasattr(_of_thread, "mesh"):
        _of_thread.mesh = FaceMesh()
    return _of_thread.mesh


@contextmanager
def _without(line: bytes) -> Iterator[None]:
    """Buffer what is written to file descriptor 2 and write it afterwards, without lines that begin with `line`."""
    with _one_swap, tempfile.TemporaryFile() as buffer:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            buffer.seek(0)
            os.write(stderr, b"".join(text for text in buffer if not text.startswith(line)))
            os.close(stderr)


class Tracker:
    """Tracks one face from frame to frame."""

    def __init__(self, mesh: FaceMesh | None = None, last: Mesh | None = None) -> None:
        self._mesh = mesh or of_this_thread()
        self._last_4683 = last.points_4683 if last else None

    def step(self, frame_HW3: Frame, box_4: np.ndarray | None = None) -> Mesh | None:
        """The face in the next frame; None where none is tracked.

        box_4  the detector's box in this frame, None or nan where it has none. Needed in the first frame and after a
               loss. A box of another face than the mesh's makes the tracker switch to that face
        """
        box_4 = None if box_4 is None or not np.isfinite(box_4).all() else box_4
        mesh = None
        if self._last_4683 is not None and (box_4 is None or _same_face(box_4, self._last_4683)):
            mesh = self._look(frame_HW3, region_of_mesh(self._last_4683))
        if mesh is None and box_4 is not None:
            first = self._look(frame_HW3, region_of_box(box_4))
            mesh = first and self._look(frame_HW3, region_of_mesh(first.points_4683))  # again, upright
        self._last_4683 = None if mesh is None else mesh.points_4683
        return mesh

    def _look(self, frame_HW3: Frame, region: Region) -> Mesh | None:
        mesh = self._mesh(frame_HW3, region)
        return mesh if mesh.score >= HELD else None


def track(
    frames: Iterable[Frame], boxes_T4: Iterable[np.ndarray | None], refiner: LipRefiner | None = None
) -> MeshTrack:
    """Track one face through a clip; a refiner replaces its 40 lip points (model.lips.LIPS).

    Shape: T frames, T boxes (px of the frame, None or nan where the detector has none)
    """
    tracker, meshes, crops = Tracker(), list[Mesh | None](), list[np.ndarray]()
    for frame_HW3, box_4 in zip(frames, boxes_T4, strict=True):
        meshes.append(mesh := tracker.step(frame_HW3, box_4))
        if refiner and mesh:
            crops.append(refiner.crop(frame_HW3, mesh.points_4683))
    found_T = np.array([mesh is not None for mesh in meshes], bool)
    mesh_T4683 = np.full((len(meshes), NUM_POINTS, 3), np.nan, np.float32)
    score_T = np.zeros(len(meshes), np.float32)
    if found_T.any():
        mesh_T4683[found_T] = [mesh.points_4683 for mesh in meshes if mesh]
        score_T[found_T] = [mesh.score for mesh in meshes if mesh]
    if refiner and crops:
        mesh_T4683[found_T] = refiner(np.array(crops), mesh_T4683[found_T])
    return MeshTrack(mesh_T4683, score_T, found_T)


def region_of_box(box_4: np.ndarray) -> Region:
    """The square around a dlib detector box."""
    return Region((box_4[:2] + box_4[2:]) / 2, float(box_4[2] - box_4[0]) * AROUND, 0.0)


def region_of_mesh(points_4683: np.ndarray) -> Region:
    """The square around a mesh, aligned with its eyes."""
    left, right = (points_4683[eye].astype(np.float64) for eye in EYES)
    roll_rad = float(np.arctan2(right[1] - left[1], right[0] - left[0]))
    upright_22 = np.array([[np.cos(roll_rad), np.sin(roll_rad)], [-np.sin(roll_rad), np.cos(roll_rad)]])
    turned_4682 = points_4683[:, :2] @ upright_22.T
    low_2, high_2 = turned_4682.min(axis=0), turned_4682.max(axis=0)
    return Region(upright_22.T @ ((low_2 + high_2) / 2), float((high_2 - low_2).max()) * AROUND, roll_rad)


def box_around(points_4683: np.ndarray) -> np.ndarray:
    """Shape: -> (4,) px"""
    return np.concatenate([points_4683[:, :2].min(axis=0), points_4683[:, :2].max(axis=0)])


def _same_face(box_4: np.ndarray, points_4683: np.ndarray) -> bool:
    return bool(faces.iou(box_4, box_around(points_4683)[None])[0] >= faces.FOLLOW_IOU)


def placement(region: Region, side_px: int) -> np.ndarray:
    """Affine map from frame pixels to pixels of the square, `side_px` wide.  Shape: -> (2, 3)"""
    scale = side_px / max(region.side_px, 1e-6)
    cos, sin = scale * np.cos(region.roll_rad), scale * np.sin(region.roll_rad)
    turn_22 = np.array([[cos, sin], [-sin, cos]])
    return np.concatenate([turn_22, (side_px / 2 - turn_22 @ region.centre_2)[:, None]], axis=1)
