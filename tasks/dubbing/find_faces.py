"""Pass 1 over a file, picture or video: every face in it, kept in the work folder for a run that is started again."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model import timing
from model.params import FaceParams
from tasks.core.ahead import ahead
from tasks.core.errors import UserError
from tasks.core.progress import bar
from tasks.dubbing import look, work_folder
from tasks.dubbing.look import Points, Seen
from tasks.media import containers, decode, native_rate


def looked(
    face: Path, p: FaceParams, points: Points, box: tuple[float, float, float, float] | None, folder: Path
) -> Seen:
    """Pass 1, or its result from the run that was stopped.  Errors: UserError where no face can be seen"""
    kept = folder / "seen.npz"
    if kept.is_file():
        return work_folder.load(kept)
    try:
        if decode.is_image(face):
            given = None if box is None else np.array(box)
            seen = look.picture_face(decode.read_image(face), p, points, given)
        else:
            if box is not None:
                raise UserError("--box is for pictures; in a video name the face by --speaker x,y@seconds")
            promised = decode.probe(face)
            total = max(1, round(promised.duration_s * (promised.fps or timing.FPS)))
            with contextlib.closing(native_rate.pictures(face)) as pictures:
                seen = look.look(counted(ahead(pictures, 4), total, "finding faces"), p, points)
    except containers.MediaError as error:
        raise UserError(f"{face}: no picture can be read: {error.detail}") from error
    if not seen.faces:
        looked_at = "the picture" if decode.is_image(face) else f"{len(seen.times_s)} frames"
        where = "; name its place with --box" * decode.is_image(face)
        raise UserError(f"{face}: no face found in {looked_at}; it must be frontal and upright{where}")
    work_folder.save(kept, seen)
    return seen


def counted(frames: Iterable[Any], total: int, what: str) -> Iterator[Any]:
    with bar(total, what, "frame") as shown:
        for frame in frames:
            yield frame
            shown.update()
