"""A video file's faces and sound features, as preprocessing stores them and inference feeds them to the network.

Two passes over the frames of a piece (tasks/preprocess/pieces.py): the first tracks the face, the second crops it; with
several faces, a pass in between tracks the others. Few and small frames, as in LRS2, are kept as decoded; otherwise
they are decoded again, and memory holds only the crops of a piece. Only searched or cropped regions are converted to
RGB.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from model import faces, head_mesh, timing
from model.mfcc import levelled
from model.params import FaceParams, QualityParams
from tasks.core.errors import Refusal
from tasks.features.audio import cepstra, log_mel
from tasks.features.crop import crop
from tasks.features.face_track import Frame, Track, follow, track
from tasks.features.lip_refiner import LipRefiner
from tasks.media import containers, decode
from tasks.preprocess import gates, pieces
from tasks.preprocess.sync import Synchroniser


@dataclass(frozen=True, slots=True)
class Tools:
    """Models that each worker loads once."""

    refiner: LipRefiner
    sync: Synchroniser


@dataclass(frozen=True, slots=True)
class Examined:
    """A clip's features, named as in `tasks.storage.shards.Clip`, and measurements, named as columns of the index."""

    arrays: dict[str, np.ndarray]
    figures: dict[str, float]
    detail: str = ""  # what a reader of the index should know of a kept clip


@dataclass(frozen=True, slots=True)
class Part:
    """The result of one piece of a video."""

    number: int
    first: int  # frame of the video
    num_frames: int  # up to where it was decoded
    alone: bool  # it is the whole video
    outcome: Examined | Refusal


def of_video(
    source: pieces.Source, p: FaceParams, limits: QualityParams, tools: Tools, span: tuple[int, int] | None = None
) -> Iterator[Part]:
    """Features and measurements of each piece of a video, or of a span of its frames, before the gates; at least one.

    A piece is refused if it cannot be read, has no face or no sound, is too short, or takes more processor time than
    `quality.clip_cpu_s`. A piece whose frames cannot be decoded to its end is the last.
    """
    with (
        closing(pieces.Video(source, p.max_frames, limits, span)) as video,
        closing(pieces.SoundReader(source, video)) as sound,
    ):
        for piece in video:
            outcome: Examined | Refusal
            try:
                outcome = examine(piece, sound, p, limits, tools)
            except containers.MediaError as error:
                outcome = Refusal(error.reason, error.detail)
            except Refusal as refusal:
                outcome = refusal
            alone = piece.number == 0 and (piece.last or not piece.ended)
            yield Part(piece.number, piece.first, piece.num_frames, alone, outcome)
            del outcome, piece  # here and in tasks/preprocess/stage.py: one piece is freed before the next one


def examine(
    piece: pieces.Piece, sound: pieces.SoundReader, p: FaceParams, limits: QualityParams, tools: Tools
) -> Examined:
    """With several faces, the one whose mouth best matches the audio is taken.  Errors: MediaError, Refusal"""
    if not piece.video.has_sound:
        raise Refusal("no_sound", "there is no sound stream")
    followed = track(piece, p, None, tools.refiner)
    num_frames = len(followed.found_T)
    if num_frames < p.min_frames:
        raise Refusal("too_short", f"{num_frames} frames, faces.min_frames is {p.min_frames}")
    if not found_enough(followed, p):
        counted = f"{followed.found_T.sum()} of {num_frames} frames"
        raise Refusal("no_face", f"{counted}, faces.min_found is {p.min_found:g}; dlib, upsampled once")
    if not held_enough(followed, p):
        assert followed.mesh
        counted = f"the face mesh holds in {followed.mesh.found_T.sum()} of {num_frames} frames"
        raise Refusal("no_face", f"{counted}, faces.min_found is {p.min_found:g}")
    found = np.flatnonzero(followed.found_T)
    if found[-1] - found[0] + 1 < p.min_frames:
        raise Refusal("too_short", f"a face in {found[-1] - found[0] + 1} frames, faces.min_frames is {p.min_frames}")
    end: int | None = timing.num_samples(piece.first + num_frames)
    if piece.last and piece.video.end is None:  # all that is left, so that its length can be judged
        end = None
    samples = sound.span(timing.num_samples(piece.first), end)
    if not len(samples):
        raise Refusal("no_sound", f"the sound stream holds no sample{' of this piece' if piece.number else ''}")
    fitted = decode.fit(samples, num_frames)
    others = follow(piece, p, list(followed.others_N4), tools.refiner) if len(followed.others_N4) else []
    tracks = [followed, *(other for other in others if found_enough(other, p) and held_enough(other, p))]
    crops = cut(piece, tracks, p.size)
    number = tools.sync.speaker([mesh_T4683 for _, mesh_T4683 in crops], fitted) if len(crops) > 1 else 0
    faces_TSS3, mesh_T4683 = crops[number]
    synchronous, sync_figures = tools.sync.synchronised(fitted, mesh_T4683, limits)
    log_mel_MC = log_mel(synchronous, num_frames)
    return Examined(
        arrays={
            "faces_TSS3": faces_TSS3,
            "mfcc_FW": cepstra(log_mel_MC),
            "mel_CM": levelled(log_mel_MC, float(np.mean(np.square(synchronous, dtype=np.float64)))),
            "mesh_T4683": mesh_T4683,
            "found_T": tracks[number].found_T,
            "boxes_T4": tracks[number].boxes_T4.astype(np.float32),
        },
        figures={
            **piece.statistics.figures(),
            **gates.of_face(tracks[number], mesh_T4683),
            "num_faces": len(tracks),
            **gates.of_sound(samples, num_frames),
            **sync_figures,
        },
        detail=piece.video.sounds_left_out,
    )


def found_enough(track: Track, p: FaceParams) -> bool:
    return bool(track.found_T.any() and track.found_T.mean() >= p.min_found)


def held_enough(track: Track, p: FaceParams) -> bool:
    """Whether the mesh holds the face as often as the detector must find it; in any frame if it sees key frames only"""
    assert track.mesh
    return bool(track.mesh.found_T.any() and (not p.mesh or track.mesh.found_T.mean() >= p.min_found))


def cut(pictures: Iterable[Frame], tracks: Sequence[Track], size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Crops of all tracks, from one pass, and their meshes, px of the crop.  Shape: -> [(T, S, S, 3), (T, 468, 3)]"""
    num_frames = len(tracks[0].found_T)
    boxes_NT4 = [faces.crop_boxes(one.boxes_T4) for one in tracks]
    crops_NTSS3 = [np.empty((num_frames, size, size, 3), np.uint8) for _ in tracks]
    for t, picture in zip(range(num_frames), pictures, strict=True):
        for boxes_T4, crops_TSS3 in zip(boxes_NT4, crops_NTSS3, strict=True):
            crops_TSS3[t] = crop(picture, boxes_T4[t], size)
    return [
        (crops_TSS3, head_mesh.in_crops(one.mesh.mesh_T4683, boxes_T4, size))
        for crops_TSS3, one, boxes_T4 in zip(crops_NTSS3, tracks, boxes_NT4, strict=True)
        if one.mesh
    ]
