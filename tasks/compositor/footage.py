"""Records one person in a video: the mesh of every frame and pictures of the mouth, as files in a work folder.

The meshes of a dubbed video come from pass 1 over it (`gathered`); other frames are read here (`record`). Memory holds
one batch of frames, whatever the video's length: meshes are memory-mapped, and mouth pictures are JPEGs of
full size and full chroma, concatenated in one file.

Shape letters: T frames of the video
"""

import itertools
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model import between_lips, lips
from model.between_lips import CELLS
from model.head_mesh import NUM_POINTS
from model.head_track import REACH, SHAPE_SIGMA, Heads, steady
from tasks.compositor import mouth_pictures
from tasks.compositor.mouth_pictures import MOUTHS
from tasks.core.files import all_or_nothing
from tasks.features import face_mesh
from tasks.features.face_mesh import Mesh, Region, Tracker
from tasks.features.face_track import Frame
from tasks.features.lip_refiner import BATCH, LipRefiner

MOST_PICTURES = 7500  # of mouths: five minutes at 25 frames/s
BLOCK = 50  # frames: of a longer video, evenly spread blocks of this length are kept
REACHED = 1.15  # side of what is converted to RGB, in sides of the mesh's square: a face moves meanwhile
# as in Footage, of one frame
ROW = np.dtype([("mesh_4683", np.float32, (NUM_POINTS, 3)), ("at_4", np.int64, 4), ("light", np.float32),
                ("between_6", np.float32, CELLS)])  # fmt: skip
CHUNK = 512  # rows read at a time
MESH, INDEX = "mesh.npy", "footage.npz"


class OnDisk:
    """An array in a file that is open only while a part is read: a person may have thousands of videos."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        return np.array(np.load(self._path, mmap_mode="r")[part])


@dataclass
class Footage:
    """
    mesh_T4683  float32, px of the frame, memory-mapped; nan where the mesh tracks no face
    run_T       number of the run of consecutive frames that show one face; -1: no face
    at_T4       of the mouth picture: byte offset, length (0: no picture), left and top in the frame
    light_T     mean level around the lips
    between_T6  model.between_lips.levels, nan without a face
    mouths      the file of the pictures, where it is not in the folder
    """

    folder: Path
    mesh_T4683: np.ndarray | OnDisk
    run_T: np.ndarray
    at_T4: np.ndarray
    light_T: np.ndarray
    between_T6: np.ndarray
    mouths: Path | None = None

    def heads(self, low: int, high: int, shape_sigma: float = SHAPE_SIGMA) -> tuple[np.ndarray, Heads]:
        """The frames in low .. high - 1 that have a face, and their heads, stabilised within each run."""
        indices, parts = [], []
        for first, end in self._runs(max(0, low - REACH), min(len(self.run_T), high + REACH)):
            inside = slice(max(low, first) - first, max(0, min(high, end) - first))
            if inside.stop <= inside.start:
                continue
            heads = steady(np.asarray(self.mesh_T4683[first:end]), shape_sigma=shape_sigma)
            indices.append(np.arange(first, end)[inside])
            parts.append([part[inside] for part in heads])
        if not indices:
            return np.zeros(0, int), Heads(np.zeros((0, NUM_POINTS, 3)), np.zeros((0, 3, 3)), np.zeros((0, 3)))
        return np.concatenate(indices), Heads(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def picture(self, t: int) -> tuple[np.ndarray, tuple[int, int]]:
        """The mouth picture of frame t, and its left and top in the frame.  Shape: -> (h, w, 3) uint8 RGB"""
        start, length, left, top = self.at_T4[t].tolist()
        return mouth_pictures.read(self.mouths or self.folder / MOUTHS, start, length), (left, top)

    def _runs(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        run_T = self.run_T[low:high]
        bounds = [0, *(np.flatnonzero(np.diff(run_T)) + 1).tolist(), len(run_T)]
        for first, end in itertools.pairwise(bounds):
            if end > first and run_T[first] >= 0:
                yield low + first, low + end


class Follower:
    """Tracks one face from frame to frame; in a video's frames its last known place is converted to RGB at once."""

    def __init__(self) -> None:
        self._tracker: Tracker | None = None  # of the thread that calls `step` first
        self._place: tuple[slice, slice] | None = None

    def step(self, frame_HW3: Frame, box_4: np.ndarray) -> Mesh | None:
        """See Tracker.step"""
        self._tracker = self._tracker or Tracker()
        if self._place and not isinstance(frame_HW3, np.ndarray):
            frame_HW3.keep(*self._place)
        if mesh := self._tracker.step(frame_HW3, box_4):
            self._place = _around(face_mesh.region_of_mesh(mesh.points_4683))
        return mesh


def record(frames: Iterable[Frame], boxes_T4: np.ndarray, who_T: np.ndarray, folder: Path) -> Footage:
    """Read frames once and record them; if the folder already holds a finished recording, read that instead.

    boxes_T4  the detector's boxes, px; nan where there is none
    who_T     number of the wanted face, -1: none
    """
    if (folder / INDEX).is_file():
        return read(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mesh_T4683, light_T = _empty(folder, len(who_T)), np.zeros(len(who_T), np.float32)
    between_T6 = np.full((len(who_T), CELLS), np.nan, np.float32)
    at_T4, box_T4 = np.zeros((len(who_T), 4), np.int64), np.zeros((len(who_T), 4), np.int32)
    keep_T, refiner, follower, last = kept(who_T), LipRefiner(), Follower(), -1
    pending: list[tuple[int, np.ndarray, np.ndarray]] = []

    def settle() -> None:
        if pending:
            numbers, meshes, crops = zip(*pending, strict=True)
            mesh_T4683[list(numbers)] = refined_B4683 = refiner(np.stack(crops), np.stack(meshes))
            between_T6[list(numbers)] = between(np.stack(crops), np.stack(meshes), refined_B4683)
            pending.clear()

    with (folder / MOUTHS).open("wb") as file:
        for t, frame_HW3 in enumerate(itertools.islice(frames, len(who_T))):
            if who_T[t] >= 0 and who_T[t] != last:
                follower, last = Follower(), who_T[t]
            if who_T[t] < 0 or (mesh := follower.step(frame_HW3, boxes_T4[t])) is None:
                continue
            pending.append((t, mesh.points_4683, refiner.crop(frame_HW3, mesh.points_4683)))
            light_T[t] = pending[-1][2].mean()
            if keep_T[t] and (box := mouth_pictures.box_of(frame_HW3.shape, mesh.points_4683)) is not None:
                box_T4[t], at_T4[t] = box, mouth_pictures.written(file, frame_HW3, box)
            if len(pending) == BATCH:
                settle()
        settle()
    return _finished(folder, mesh_T4683, who_T, at_T4, light_T, between_T6, box_T4, folder / MOUTHS)


def gathered(
    rows: Path, rows_T: np.ndarray, who_T: np.ndarray, size_hw: tuple[int, int], frames: Iterable[Frame] | None,
    folder: Path,
) -> Footage:  # fmt: skip
    """`record` a video whose meshes are in a file already.

    rows      file of ROW; pictures of mouths may lie beside it
    rows_T    row of each frame, -1: none
    frames    of the video, from which mouths are cut that are not there; None: only where mouths are is kept, and
              `with_pictures` cuts them
    """
    if (folder / INDEX).is_file():
        return read(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mesh_T4683, light_T = _empty(folder, len(who_T)), np.zeros(len(who_T), np.float32)
    box_T4, at_T4 = np.zeros((len(who_T), 4), np.int32), np.zeros((len(who_T), 4), np.int64)
    between_T6 = np.full((len(who_T), CELLS), np.nan, np.float32)
    held, known, keep_T = np.memmap(rows, ROW, "r"), np.flatnonzero(rows_T >= 0), kept(who_T)
    for start in range(0, len(known), CHUNK):
        at = known[start : start + CHUNK]
        of_file = held[rows_T[at]]
        mesh_T4683[at], light_T[at] = of_file["mesh_4683"], of_file["light"]
        between_T6[at] = of_file["between_6"]
        for t, points_4683, at_4 in zip(at.tolist(), of_file["mesh_4683"], of_file["at_4"], strict=True):
            box = mouth_pictures.box_of(size_hw, points_4683) if keep_T[t] and np.isfinite(points_4683[0, 0]) else None
            if box is not None:
                box_T4[t], at_T4[t] = box, 0 if frames is None else at_4
    wanted_T, mouths = box_T4[:, 2] > 0, rows.parent / MOUTHS
    if frames is not None and not at_T4[wanted_T, 1].all():
        at_T4 = mouth_pictures.cut(frames, box_T4, set(np.flatnonzero(wanted_T).tolist()), folder)
        mouths = folder / MOUTHS
    return _finished(folder, mesh_T4683, who_T, at_T4, light_T, between_T6, box_T4, mouths)


def between(crops_NHW3: np.ndarray, found_N4683: np.ndarray, refined_N4683: np.ndarray) -> np.ndarray:
    """model.between_lips.levels of the lip refiner's crops.  found: the meshes that placed them.  Shape: -> (N, 6)"""
    lips_N402 = lips.to_crop(refined_N4683[:, lips.LIPS, :2], lips.placements(found_N4683))
    return between_lips.levels(crops_NHW3, lips_N402)


def _empty(folder: Path, num_frames: int) -> np.memmap:
    mesh_T4683 = np.lib.format.open_memmap(
        folder / MESH, mode="w+", dtype=np.float32, shape=(num_frames, NUM_POINTS, 3)
    )
    mesh_T4683[...] = np.nan
    return mesh_T4683


def _finished(
    folder: Path, mesh_T4683: np.memmap, who_T: np.ndarray, at_T4: np.ndarray, light_T: np.ndarray,
    between_T6: np.ndarray, box_T4: np.ndarray, mouths: Path,
) -> Footage:  # fmt: skip
    mesh_T4683.flush()
    run_T = runs(np.isfinite(mesh_T4683[:, 0, 0]), who_T)
    where = np.array(os.path.relpath(mouths, folder))
    with all_or_nothing(folder / INDEX) as partial, partial.open("wb") as out:
        np.savez(out, run_T=run_T, at_T4=at_T4, light_T=light_T, between_T6=between_T6, box_T4=box_T4, mouths=where)
    return read(folder)


def with_pictures(film: Footage, frames: Iterable[Frame], wanted: Collection[int], folder: Path) -> Footage:
    """The recording with the mouth pictures of the frames `wanted`, cut from its video once more, in `folder`.

    The bytes are those of `gathered`, which was called without frames.
    """
    with np.load(film.folder / INDEX) as arrays:
        box_T4 = arrays["box_T4"]
    folder.mkdir(parents=True, exist_ok=True)
    return replace(film, folder=folder, at_T4=mouth_pictures.cut(frames, box_T4, wanted, folder), mouths=None)


def _around(region: Region) -> tuple[slice, slice]:
    """Rows and columns in which the face of the next frames lies."""
    half = REACHED * region.side_px / 2 * (abs(np.cos(region.roll_rad)) + abs(np.sin(region.roll_rad)))
    left, top = np.maximum(region.centre_2 - half, 0).astype(int).tolist()
    right, bottom = np.maximum(region.centre_2 + half, 0).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def read(folder: Path) -> Footage:
    with np.load(folder / INDEX) as arrays:
        run_T, at_T4, light_T, between_T6 = (arrays[name] for name in ("run_T", "at_T4", "light_T", "between_T6"))
        mouths = folder / str(arrays["mouths"])
    return Footage(folder, np.load(folder / MESH, mmap_mode="r"), run_T, at_T4, light_T, between_T6, mouths)


def without_pictures(folder: Path) -> Footage:
    """A recording made without pictures: `library.build` counts its mouths, `with_pictures` brings them."""
    with np.load(folder / INDEX) as arrays:
        run_T, at_T4, light_T, between_T6 = (arrays[name] for name in ("run_T", "at_T4", "light_T", "between_T6"))
        box_T4 = arrays["box_T4"]
    at_T4[:, 1] = box_T4[:, 2] > box_T4[:, 0]
    return Footage(folder, OnDisk(folder / MESH), run_T, at_T4, light_T, between_T6)


def runs(found_T: np.ndarray, who_T: np.ndarray) -> np.ndarray:
    """Number of each frame's run (consecutive frames of one face), -1 without a face.  Shape: (T,), (T,) -> (T,)"""
    breaks = np.ones(len(found_T), bool)
    breaks[1:] = (found_T[1:] != found_T[:-1]) | (who_T[1:] != who_T[:-1])
    return np.where(found_T, np.cumsum(breaks), -1)


def kept(who_T: np.ndarray) -> np.ndarray:
    """Which frames keep a picture.  Shape: -> (T,) bool"""
    wanted_T = who_T >= 0
    share = MOST_PICTURES / max(1, int(wanted_T.sum()))
    if share >= 1:
        return wanted_T
    block_T = np.arange(len(who_T)) // BLOCK
    return wanted_T & (np.floor((block_T + 1) * share) > np.floor(block_T * share))
