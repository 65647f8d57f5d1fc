"""Clips for the motion network: videos in folders -> audio and mouths on the canonical head.

A subfolder is a person: FOLDER/PERSON/*.mpg; a video directly in FOLDER is a person of its own. Results are cached in
.cache/motion/clips under the hash of the video's bytes and of the models that read it.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model import head_mesh, motion
from model.params import MotionParams
from model.timing import SAMPLES_PER_FRAME
from tasks.core import paths
from tasks.core.errors import Refusal, UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar, say
from tasks.features import face_mesh, face_track, lip_refiner, mesh_model
from tasks.media import decode, folder_files
from tasks.media.containers import MediaError
from tasks.motion.batches import MIN_FOUND, MotionClip, filled

CLIPS_VERSION = 1  # raise it when the same video gives a different mouth
DETECT_PX = 480
MIN_FRAMES, MAX_FRAMES = 12, 3000


@dataclass(frozen=True, slots=True)
class Source:
    person: str
    video: Path
    folder: int  # number of the data folder


def sources(folders: Sequence[Path]) -> list[Source]:
    """All videos, by person and name.  Errors: UserError for a folder without videos, a person in two folders"""
    all_sources: list[Source] = []
    for number, folder in enumerate(folders):
        videos = [path for path in folder_files.regular(folder) if path.suffix.lower() in decode.VIDEO_ENDINGS]
        if not videos:
            raise UserError(f"{folder}: contains no video; --data expects FOLDER/PERSON/*.mp4")
        here = [Source(_person(video.relative_to(folder)), video, number) for video in videos]
        if twice := {source.person for source in here} & {source.person for source in all_sources}:
            raise UserError(f"{folder}: person {min(twice)} is also in another data folder; rename one of them")
        all_sources += here
    return all_sources


def load(wanted: Sequence[Source], p: MotionParams) -> list[MotionClip]:
    """The usable clips, in order; each skipped clip is reported.

    Errors: UserError if no clip is usable
    """
    clips, refused, reader_hash = list[MotionClip](), Counter[str](), _reader_hash()
    with bar(len(wanted), "reading clips", "clip") as progress:
        for source in wanted:
            try:
                clips.append(_read(source, reader_hash, p))
            except Refusal as refusal:
                refused[refusal.reason] += 1
                say(f"motion: skipped {source.person}/{source.video.name}: {refusal.reason}, {refusal.detail}")
            progress.update()
    if not clips:
        raise UserError(f"none of {len(wanted)} clips is usable: {dict(refused)}")
    return clips


def source_hash(wanted: Iterable[Source]) -> str:
    """sha256 of the bytes of all videos, independent of their names."""
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


def _read(source: Source, reader_hash: str, p: MotionParams) -> MotionClip:
    """Errors: Refusal"""
    key = hashlib.sha256(reader_hash.encode() + source.video.read_bytes()).hexdigest()
    cached = paths.cache() / "motion" / "clips" / key[:2] / f"{key}.npz"
    if not cached.is_file():
        sound, mouth_TS3 = mouths(source.video)
        with all_or_nothing(cached) as partial, partial.open("wb") as file:
            np.savez(file, sound=sound, mouth=mouth_TS3)
    with np.load(cached) as stored:
        power_CM = motion.listen(stored["sound"], p)
        return MotionClip(source.video.stem, source.person, power_CM, stored["mouth"], source.folder)


def mouths(video: Path) -> tuple[np.ndarray, np.ndarray]:
    """Audio and mouth of a clip.  Shape: -> (T * 640,) float32, (T, 59, 3) float32.  Errors: Refusal"""
    try:
        frames_THW3 = np.stack(list(itertools.islice(decode.frames(video), MAX_FRAMES + 1)))
        sound = decode.decode_sound(video)
    except MediaError as error:
        raise Refusal(error.reason, error.detail) from error
    num_frames = min(len(frames_THW3), len(sound) // SAMPLES_PER_FRAME)
    if not MIN_FRAMES <= num_frames <= MAX_FRAMES:
        raise Refusal("too_short" if num_frames < MIN_FRAMES else "too_long", f"{num_frames} frames")
    mesh_T4683 = meshes(frames_THW3[:num_frames])
    mouth_TS3 = head_mesh.mouths(mesh_T4683).astype(np.float32)
    return sound[: num_frames * SAMPLES_PER_FRAME].astype(np.float32), mouth_TS3


def meshes(frames_THW3: np.ndarray) -> np.ndarray:
    """Frames without a face repeat the nearest.  Shape: -> (T, 468, 3) finite.  Errors: Refusal no_face"""
    track = face_mesh.track(frames_THW3, _first_box(frames_THW3), lip_refiner.released())
    if track.found_T.mean() < MIN_FOUND:  # tracking was lost: run the detector on every frame
        track = face_mesh.track(frames_THW3, map(_largest, frames_THW3), lip_refiner.released())
    if track.found_T.mean() < MIN_FOUND:
        raise Refusal("no_face", f"{int(track.found_T.sum())} of {len(frames_THW3)} frames")
    return filled(track.mesh_T4683, track.found_T)


def _first_box(frames_THW3: np.ndarray) -> list[np.ndarray | None]:
    """A box in the first frame with a face only: from there on, the mesh tracks itself."""
    boxes: list[np.ndarray | None] = [None] * len(frames_THW3)
    for t, frame_HW3 in enumerate(frames_THW3):
        if (box_4 := _largest(frame_HW3)) is not None:
            boxes[t] = box_4
            break
    return boxes


def _largest(frame_HW3: np.ndarray) -> np.ndarray | None:
    boxes_N4 = face_track.detect(frame_HW3, DETECT_PX)
    return boxes_N4[(boxes_N4[:, 2] - boxes_N4[:, 0]).argmax()] if len(boxes_N4) else None
