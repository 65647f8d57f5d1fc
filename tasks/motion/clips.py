"""Clips for the motion network: videos in folders -> sound and mouths on the canonical head.

A folder's first level names the person: FOLDER/PERSON/*.mpg; a video directly in FOLDER is a person of its own. What a
video gives is kept under .cache/motion/clips by the hash of its bytes and of what reads it.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model import head_mesh
from model.timing import SAMPLES_PER_FRAME
from tasks.core import paths
from tasks.core.errors import Refusal, UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar, say
from tasks.features import face_mesh, face_track, lip_refiner, mesh_model
from tasks.media import decode
from tasks.media.containers import MediaError
from tasks.motion.batches import MotionClip

CLIPS_VERSION = 1  # raise it when the same video gives another mouth
DETECT_PX = 480
MIN_FRAMES, MAX_FRAMES = 12, 3000
MIN_FOUND = 0.95  # of the frames; the others repeat the nearest


@dataclass(frozen=True, slots=True)
class Source:
    person: str
    video: Path
    folder: int  # which of the data folders


def sources(folders: Sequence[Path]) -> list[Source]:
    """All videos, by person and name.  Errors: UserError for a folder without one, a person in two folders"""
    found: list[Source] = []
    for number, folder in enumerate(folders):
        videos = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in decode.VIDEO_ENDINGS]
        if not videos:
            raise UserError(f"{folder}: no video in it; --data wants folders as FOLDER/PERSON/*.mp4")
        here = [Source(_person(video.relative_to(folder)), video, number) for video in videos]
        if twice := {source.person for source in here} & {source.person for source in found}:
            raise UserError(f"{folder}: {min(twice)} is a person of another data folder too; rename one")
        found += here
    return found


def at_most(found: Sequence[Source], num_each: int) -> list[Source]:
    """Of each person so many, evenly from all, in their order."""
    of: dict[str, list[Source]] = {}
    for source in found:
        of.setdefault(source.person, []).append(source)
    return [
        mine[at]
        for mine in of.values()
        for at in np.unique(np.linspace(0, len(mine) - 1, min(num_each, len(mine))).round().astype(int))
    ]


def load(wanted: Sequence[Source]) -> list[MotionClip]:
    """The clips that can be used, in order; what is left out is said.

    Errors: UserError where none is left
    """
    clips, refused, reader_hash = list[MotionClip](), Counter[str](), _reader_hash()
    with bar(len(wanted), "reading clips", "clip") as shown:
        for source in wanted:
            try:
                clips.append(_read(source, reader_hash))
            except Refusal as refusal:
                refused[refusal.reason] += 1
                say(f"motion: left out {source.person}/{source.video.name}: {refusal.reason}, {refusal.detail}")
            shown.update()
    if not clips:
        raise UserError(f"none of {len(wanted)} clips can be used: {dict(refused)}")
    return clips


def source_hash(wanted: Iterable[Source]) -> str:
    """sha256 of the bytes of all videos, whatever their names."""
    lines = sorted(hashlib.sha256(source.video.read_bytes()).hexdigest() for source in wanted)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _person(video: Path) -> str:
    return video.parts[0] if len(video.parts) > 1 else video.stem


def refiner_hash() -> str:
    """sha256 of the lip refiner's weights."""
    return hashlib.sha256(lip_refiner.RELEASED.read_bytes()).hexdigest()


def _reader_hash() -> str:
    mesh = f"{CLIPS_VERSION} {mesh_model.SHA256} ".encode()
    return hashlib.sha256(mesh + lip_refiner.RELEASED.read_bytes()).hexdigest()


def _read(source: Source, reader_hash: str) -> MotionClip:
    """Errors: Refusal"""
    key = hashlib.sha256(reader_hash.encode() + source.video.read_bytes()).hexdigest()
    kept = paths.cache() / "motion" / "clips" / key[:2] / f"{key}.npz"
    if not kept.is_file():
        sound, mouth_TS3 = mouths(source.video)
        with all_or_nothing(kept) as partial, partial.open("wb") as file:
            np.savez(file, sound=sound, mouth=mouth_TS3)
    with np.load(kept) as stored:
        return MotionClip(source.video.stem, source.person, stored["sound"], stored["mouth"], source.folder)


def mouths(video: Path) -> tuple[np.ndarray, np.ndarray]:
    """Sound and mouth of a clip.  Shape: -> (T * 640,) float32, (T, 59, 3) float32.  Errors: Refusal"""
    try:
        frames_THW3 = np.stack(list(itertools.islice(decode.frames(video), MAX_FRAMES + 1)))
        sound = decode.decode_sound(video)
    except MediaError as error:
        raise Refusal(error.reason, error.detail) from error
    num_frames = min(len(frames_THW3), len(sound) // SAMPLES_PER_FRAME)
    if not MIN_FRAMES <= num_frames <= MAX_FRAMES:
        raise Refusal("too_short" if num_frames < MIN_FRAMES else "too_long", f"{num_frames} frames")
    mesh_T4683 = _meshes(frames_THW3[:num_frames])
    mouth_TS3 = head_mesh.mouths(mesh_T4683).astype(np.float32)
    return sound[: num_frames * SAMPLES_PER_FRAME].astype(np.float32), mouth_TS3


def _meshes(frames_THW3: np.ndarray) -> np.ndarray:
    """Shape: -> (T, 468, 3) finite.  Errors: Refusal no_face"""
    track = face_mesh.track(frames_THW3, _first_box(frames_THW3), lip_refiner.released())
    if track.found_T.mean() < MIN_FOUND:  # lost on the way: let the detector look at every frame
        track = face_mesh.track(frames_THW3, map(_largest, frames_THW3), lip_refiner.released())
    if track.found_T.mean() < MIN_FOUND:
        raise Refusal("no_face", f"{int(track.found_T.sum())} of {len(frames_THW3)} frames")
    found = np.flatnonzero(track.found_T)
    nearest = found[np.abs(np.arange(len(frames_THW3))[:, None] - found).argmin(axis=1)]
    return track.mesh_T4683[nearest]


def _first_box(frames_THW3: np.ndarray) -> list[np.ndarray | None]:
    """A box in the first frame that has one: from there on the mesh follows itself."""
    boxes: list[np.ndarray | None] = [None] * len(frames_THW3)
    for t, frame_HW3 in enumerate(frames_THW3):
        if (box_4 := _largest(frame_HW3)) is not None:
            boxes[t] = box_4
            break
    return boxes


def _largest(frame_HW3: np.ndarray) -> np.ndarray | None:
    boxes_N4 = face_track.detect(frame_HW3, DETECT_PX)
    return boxes_N4[(boxes_N4[:, 2] - boxes_N4[:, 0]).argmax()] if len(boxes_N4) else None
