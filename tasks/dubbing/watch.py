"""What pass 1 measures of a face in every frame: its mesh, its 68 points and its lower face.

A thread of its own does this while the next frames are searched. Meshes, and pictures of mouths, go to files, so memory
does not grow with them.

Shape letters: N frames of one face
"""

import contextlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from model import head_mesh
from tasks.compositor import footage, mouth_pictures
from tasks.compositor.footage import ROW, Follower
from tasks.compositor.mouth_pictures import MOUTHS
from tasks.dubbing.occlusion import lower_face
from tasks.features import face_mesh, lip_refiner
from tasks.features.face_track import Frame

MESHES = "meshes.bin"  # of ROW
WAITING_BYTES = 96 << 20  # of frames that are not yet measured


class Measured(NamedTuple):
    """points_N682 float32, px of the frame; lows_NK uint8, tasks.dubbing.occlusion.lower_face; rows_N of the file"""

    points_N682: np.ndarray
    lows_NK: np.ndarray
    rows_N: np.ndarray


class Watch:
    """folder: where MESHES gets a row for each frame of a face; None: nothing is kept.  mouths: whether MOUTHS gets the
    pictures of the mouths, too
    """

    def __init__(self, folder: Path | None, mouths: bool = False) -> None:
        self._folder, self._with_mouths, self._num_rows = folder, mouths, 0
        self._rows: BinaryIO | None = None
        self._mouths: BinaryIO | None = None
        self._waiting: deque[tuple[Future[Measured], int]] = deque()  # and bytes of its frames

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            if self._folder:
                self._rows = opened.enter_context((self._folder / MESHES).open("wb"))
            if self._folder and self._with_mouths:
                self._mouths = opened.enter_context((self._folder / MOUTHS).open("wb"))
            self._thread = opened.enter_context(ThreadPoolExecutor(1, "points"))
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def later(self, follower: Follower, frames: list[Frame], boxes_N4: np.ndarray) -> Future[Measured]:
        """Measure the next frames of a face in the other thread, once that holds fewer frames than WAITING_BYTES."""
        nbytes = sum(frame.nbytes for frame in frames)
        while self._waiting and nbytes + sum(held for _, held in self._waiting) > WAITING_BYTES:
            self._waiting.popleft()[0].result()
        self._waiting.append((self._thread.submit(self._measured, follower, frames, boxes_N4), nbytes))
        return self._waiting[-1][0]

    def _measured(self, follower: Follower, frames: list[Frame], boxes_N4: np.ndarray) -> Measured:
        rows_N, points_N682, lows_NK = measured(follower, frames, boxes_N4, self._mouths)
        first, self._num_rows = self._num_rows, self._num_rows + len(rows_N)
        if self._rows:
            self._rows.write(rows_N.tobytes())
        return Measured(points_N682, lows_NK, np.arange(first, self._num_rows))


def measured(
    follower: Follower, frames: list[Frame], boxes_N4: np.ndarray, mouths: BinaryIO | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, points and lower faces of the next frames of a face; takes the frames out of the list.

    Where the mesh does not hold the face, its row is nan, and its points come from the detector's box.
    mouths: file for the pictures of the mouths
    Shape: boxes (N, 4) px -> (N,) of ROW, (N, 68, 2), (N, K)
    """
    refiner, rows_N, lows = lip_refiner.released(), np.zeros(len(boxes_N4), ROW), []
    points_N4683, held_N = rows_N["mesh_4683"], np.zeros(len(boxes_N4), bool)
    crops = []
    for n, box_4 in enumerate(boxes_N4):
        frame_HW3 = frames.pop(0)
        mesh = follower.step(frame_HW3, box_4)
        held_N[n] = mesh is not None
        if mesh and mouths and (box := mouth_pictures.box_of(frame_HW3.shape, mesh.points_4683)) is not None:
            rows_N["at_4"][n] = mouth_pictures.written(mouths, frame_HW3, box)
        mesh = mesh or face_mesh.of_this_thread()(frame_HW3, face_mesh.region_of_box(box_4))
        points_N4683[n] = mesh.points_4683
        crops.append(refiner.crop(frame_HW3, mesh.points_4683))
        rows_N["light"][n] = crops[-1].mean()
        lows.append(lower_face(frame_HW3, head_mesh.landmarks(points_N4683[n : n + 1])[0]))
    refined_N4683 = refiner(np.array(crops), points_N4683)
    rows_N["between_6"] = footage.between(np.array(crops), points_N4683, refined_N4683)
    rows_N["mesh_4683"] = np.where(held_N[:, None, None], refined_N4683, np.nan)
    return rows_N, head_mesh.landmarks(refined_N4683), np.array(lows)
