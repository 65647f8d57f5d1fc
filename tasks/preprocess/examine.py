"""A video file's faces and sound: what preprocessing stores and inference feeds the network, by the same code.

Two passes over the frames of a piece (tasks/preprocess/pieces.py): the first finds the face, the second cuts it out;
with several faces, a pass between the two follows the others. If the frames are few and small, as in LRS2, they are
kept as the decoder gave them; otherwise they are decoded again, and memory holds only the crops of a piece. Only what
is searched or cut out becomes RGB.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from model import faces, timing
from model.av_offset import speaking
from model.loudness import vowel_levels
from model.mfcc import (
    levelled,
)
from model.params import FaceParams, QualityParams
from tasks.core.errors import Refusal
from tasks.features.audio import cepstra, log_mel
from tasks.features.crop import crop
from tasks.features.face_track import Frame, Track, follow, track
from tasks.features.landmarks import Predictor
from tasks.media import containers, decode
from tasks.preprocess import gates, pieces


@dataclass(frozen=True, slots=True)
class Tools:
    """What is loaded once a worker."""

    predictor: Predictor
    yaw_weights: np.ndarray  # (137,) of model.head_pose.fit_yaw


@dataclass(frozen=True, slots=True)
class Examined:
    """A clip's features, named as in `tasks.storage.shards.Clip`, and its figures, named as columns of the index."""

    arrays: dict[str, np.ndarray]
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one piece of a video."""

    number: int
    first: int  # frame of the video
    num_frames: int  # as far as it was seen
    alone: bool  # the video is this piece
    found: Examined | Refusal


def of_video(source: pieces.Source, p: FaceParams, limits: QualityParams, tools: Tools) -> Iterator[Part]:
    """Features and figures of each piece of a video, whatever the gates will say of them; at least one.

    A piece is refused that cannot be read, has no face or no sound, is too short, or takes more processor time than
    `quality.clip_cpu_s`. Where the pictures cannot be gone through to its end, it is the last.
    """
    with closing(pieces.Film(source, p.max_frames, limits)) as film, closing(pieces.Sound(source, film)) as sound:
        for piece in film:
            found: Examined | Refusal
            try:
                found = examine(piece, sound, p, limits, tools)
            except containers.MediaError as error:
                found = Refusal(error.reason, error.detail)
            except Refusal as refusal:
                found = refusal
            alone = piece.number == 0 and (piece.last or not piece.ended)
            yield Part(piece.number, piece.first, piece.num_frames, alone, found)
            del found, piece  # here and in tasks/preprocess/stage.py: a piece is let go before the next one is made


def examine(piece: pieces.Piece, sound: pieces.Sound, p: FaceParams, limits: QualityParams, tools: Tools) -> Examined:
    """Of several faces the one is taken whose mouth moves with the sound.  Errors: media.MediaError, Refusal"""
    if not piece.film.has_sound:
        raise Refusal("no_sound", "there is no sound stream")
    followed = track(piece, p)
    num_frames = len(followed.found_T)
    if num_frames < p.min_frames:
        raise Refusal("too_short", f"{num_frames} frames, faces.min_frames is {p.min_frames}")
    if not seen_enough(followed, p):
        counted = f"{followed.found_T.sum()} of {num_frames} frames"
        raise Refusal("no_face", f"{counted}, faces.min_found is {p.min_found:g}; dlib, upsampled once")
    seen = np.flatnonzero(followed.found_T)
    if seen[-1] - seen[0] + 1 < p.min_frames:
        raise Refusal("too_short", f"a face in {seen[-1] - seen[0] + 1} frames, faces.min_frames is {p.min_frames}")
    end = None if piece.last else timing.num_samples(piece.first + num_frames)
    heard = sound.span(timing.num_samples(piece.first), end)
    if not len(heard):
        raise Refusal("no_sound", f"the sound stream holds no sample{' of this piece' if piece.number else ''}")
    fitted = decode.fit(heard, num_frames)
    others = follow(piece, p, list(followed.others_N4)) if len(followed.others_N4) else []
    tracks = [followed, *(other for other in others if seen_enough(other, p))]
    looks = cut(piece, tracks, p.size, tools.predictor)
    number = 0
    if len(tracks) > 1:
        mouths_NT = np.stack([faces.aperture(landmarks_T682) for _, landmarks_T682 in looks])
        number = speaking(mouths_NT, vowel_levels(fitted, num_frames))
    faces_TSS3, landmarks_T682 = looks[number]
    synchronous, sync_figures = gates.synchronised(fitted, landmarks_T682, limits)
    log_mel_MC = log_mel(synchronous, num_frames)
    return Examined(
        arrays={
            "faces_TSS3": faces_TSS3,
            "mfcc_FW": cepstra(log_mel_MC),
            "mel_CM": levelled(log_mel_MC, float(np.mean(np.square(synchronous, dtype=np.float64)))),
            "landmarks_T682": landmarks_T682,
            "found_T": tracks[number].found_T,
            "boxes_T4": tracks[number].boxes_T4.astype(np.float32),
        },
        figures={
            **piece.watch.figures(),
            **gates.of_face(tracks[number], landmarks_T682, tools.yaw_weights),
            "num_faces": len(tracks),
            **gates.of_sound(heard, num_frames),
            **sync_figures,
        },
    )


def seen_enough(followed: Track, p: FaceParams) -> bool:
    return bool(followed.found_T.any() and followed.found_T.mean() >= p.min_found)


def cut(
    pictures: Iterable[Frame], tracks: Sequence[Track], size: int, predictor: Predictor
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The faces of all tracks in one pass, and their landmarks.  Shape: -> [(T, S, S, 3), (T, 68, 2)]"""
    num_frames = len(tracks[0].found_T)
    boxes_NT4 = [faces.crop_boxes(one.boxes_T4) for one in tracks]
    looks_NTSS3 = [np.empty((num_frames, size, size, 3), np.uint8) for _ in tracks]
    for t, picture in zip(range(num_frames), pictures, strict=True):
        for boxes_T4, look_TSS3 in zip(boxes_NT4, looks_NTSS3, strict=True):
            look_TSS3[t] = crop(picture, boxes_T4[t], size)
    return [(look_TSS3, predictor(look_TSS3)) for look_TSS3 in looks_NTSS3]
