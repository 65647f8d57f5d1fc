"""Real mouths: GRID clips with reference lip points from MediaPipe's full graph (lip attention).

Folder layout: video/PERSON/CLIP.mpg or .mp4; reference/PERSON.npz with `points` (mesh indices) and, for each clip,
(T, 49, 2) px, nan in frames without a face; the first 40 points are model.lips.LIPS.

Source: Cooke, Barker, Cunningham, Shao (2006), CC BY 4.0
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.head_mesh import EYES
from model.lips import LIPS
from tasks.core.errors import UserError
from tasks.features import face_track
from tasks.features.face_mesh import Mesh, Tracker
from tasks.lips.examples import Examples, example
from tasks.media import decode

TRAIN = ("s1", "s4", "s16", "s25", "p01", "p02")
VAL = ("s31", "p03")
TEST = ("s27", "p04", "p05", "p06", "p07", "p08")
DETECT_PX = 480


@dataclass(frozen=True, slots=True)
class Clip:
    """Shape: truth_T402 px of the frame, eyes_T22 outer corners px, both from the reference"""

    person: str
    video: Path
    truth_T402: np.ndarray
    eyes_T22: np.ndarray


def clips(folder: Path, person: str) -> list[Clip]:
    """A person's clips, by name.  Errors: UserError if the reference or a video is missing or does not match"""
    file = folder / "reference" / f"{person}.npz"
    if not file.is_file():
        raise UserError(f"{file}: no such reference; --grid must name a folder that contains video/ and reference/")
    videos = {path.stem: path for path in (folder / "video" / person).glob("*") if path.suffix in decode.VIDEO_ENDINGS}
    with np.load(file) as stored:
        points = stored["points"].tolist()
        if points[:40] != LIPS.tolist():
            raise UserError(f"{file}: its first 40 points are not the lip points of model/lips.py")
        eyes = [points.index(eye) for eye in EYES]
        names = sorted(name for name in stored.files if name != "points")
        if missing := [name for name in names if name not in videos]:
            raise UserError(f"{folder / 'video' / person}: no video of {missing[0]} ({len(missing)} missing in all)")
        return [Clip(person, videos[name], stored[name][:, :40], stored[name][:, eyes]) for name in names]


def meshes(clip: Clip) -> Iterator[tuple[int, np.ndarray, Mesh]]:
    """Frames of a clip that have a tracked mesh and a reference: frame number, image, mesh."""
    tracker, is_tracked = Tracker(), False
    frames = decode.frames(clip.video)
    for t, frame_HW3 in zip(range(len(clip.truth_T402)), frames, strict=False):
        mesh = tracker.step(frame_HW3, None if is_tracked else _box(frame_HW3))
        is_tracked = mesh is not None
        if mesh and np.isfinite(clip.truth_T402[t]).all():
            yield t, frame_HW3, mesh


def load(folder: Path, person: str, num_most: int) -> Examples:
    """Every mouth of a person, or of evenly spaced clips if there are more than `num_most` mouths."""
    all_clips = clips(folder, person)
    every = max(1, math.ceil(sum(len(clip.truth_T402) for clip in all_clips) / num_most))
    parts = [
        example(frame_HW3, mesh.points_4683, clip.truth_T402[t])
        for clip in all_clips[::every]
        for t, frame_HW3, mesh in meshes(clip)
    ]
    return Examples.joined(parts)


def _box(frame_HW3: np.ndarray) -> np.ndarray | None:
    boxes_N4 = face_track.detect(frame_HW3, DETECT_PX)
    return boxes_N4[(boxes_N4[:, 2] - boxes_N4[:, 0]).argmax()] if len(boxes_N4) else None
