"""Pass 1 over a picture or video: finds every face and saves them in the work folder, so an interrupted run resumes."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model import timing
from model.params import FaceParams
from tasks.compositor import footage
from tasks.core.ahead import ahead
from tasks.core.errors import UserError
from tasks.core.progress import bar, say
from tasks.dubbing import look, work_folder
from tasks.dubbing.look import Points, Seen
from tasks.dubbing.options import Box
from tasks.media import containers, decode, native_rate


def find_faces(
    face: Path, p: FaceParams, points: Points, box: Box | None, folder: Path, where: str = "", mouths: bool = False
) -> Seen:
    """Run pass 1, or load its result from an interrupted run.

    points  of the face in a picture
    where   for the progress bar, of which video
    mouths  whether the mouths of the video are wanted as a library: if it is short, pass 1 cuts them

    Errors: UserError if no face is found
    """
    kept = folder / work_folder.FACES
    if kept.is_file():
        return work_folder.load(kept)
    with containers.readable(face):
        if decode.is_image(face):
            box_4 = None if box is None else np.array(box)
            seen = look.picture_face(read_told(face), p, points, box_4)
        else:
            if box is not None:
                raise UserError("--box is for pictures; in a video choose the face by --speaker x,y@seconds")
            seen = in_video(face, p, folder, where, mouths)
            if not seen.faces:
                seen = in_video(face, p, folder, where, mouths, look.EASIER)
    if not seen.faces:
        searched = "the picture" if decode.is_image(face) else f"{len(seen.times_s)} frames"
        advice = "; or give its position with --box" * decode.is_image(face)
        raise UserError(f"{face}: no face found in {searched}; it must be frontal and upright{advice}")
    work_folder.save(kept, seen)
    return seen


def in_video(face: Path, p: FaceParams, folder: Path, where: str, mouths: bool, threshold: float = 0.0) -> Seen:
    info = decode.probe(face)
    length_s = info.duration_s or decode.counted_length_s(face)
    total = max(1, round(length_s * (info.fps or timing.FPS)))
    mouths = mouths and total <= footage.MOST_PICTURES
    with contextlib.closing(native_rate.pictures(face)) as pictures:
        return look.look(counted(ahead(pictures, 4), total, "finding faces" + where), p, folder, mouths, threshold)


def read_told(face: Path) -> np.ndarray:
    """A picture; where it is made smaller, this is said.  Shape: -> (H, W, 3) uint8 RGB"""
    picture_HW3, info = decode.read_image(face), decode.probe(face)
    height, width = picture_HW3.shape[:2]
    if width * height < info.width * info.height:
        say(f"dub: {face} is {info.width} x {info.height}; made smaller, to {width} x {height}, as videos are")
    return picture_HW3


def counted(frames: Iterable[Any], total: int, label: str) -> Iterator[Any]:
    """The frames, each counted by a progress bar. `total` is an estimate: the bar grows where there are more."""
    with bar(total, label, "frame") as progress:
        for frame in frames:
            progress.total = max(progress.total, progress.n + 1)
            progress.update()
            yield frame
