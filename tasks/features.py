"""A video file's faces and sound: what preprocessing stores and inference feeds the network, by the same code.

Two passes over the frames, the first to find the face and the second to cut it out. Frames are kept as the decoder
gave them from the first to the second where they are few and small, as in LRS2; else they are decoded twice, and memory
holds the crops of a clip. Only what is searched or cut out becomes RGB.
"""

import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import librosa
import numpy as np

from model import faces, timing
from model.params import FaceParams, QualityParams
from model.quality import speaking, vowel_levels
from tasks import media, quality
from tasks.face_track import Frame
from tasks.face_track import Track as Track
from tasks.face_track import detect as detect
from tasks.face_track import detector as detector
from tasks.face_track import track as track
from tasks.landmarks import Predictor
from tasks.pictures import Picture
from tasks.stage import Refusal

MFCC_VERSION = 1  # raise it when the sound features change

NUM_MFCC = 12
WINDOW_SAMPLES = 400  # 25 ms
NUM_FFT = 512
MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ = 40, 300, 3700
PRE_EMPHASIS, LIFTER = 0.97, 22
LOG_FLOOR = 1e-10  # of mel energy: digital silence gets a finite value
HOLD_BYTES = 256 << 20  # of decoded frames: LRS2's largest clip has a quarter of it, 7 s of 720p all


def mfcc(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """12 cepstral coefficients, 100 columns a second; column j is centred at j x 10 ms.

    Shape:   sound (samples,) float in [-1, 1], cut or padded to num_frames x 640  ->  (12, 4 num_frames) float32
    Source:  LipGAN, You Said That: 25 ms Hamming windows every 10 ms, pre-emphasis 0.97, 40 HTK mel filters from 300
             to 3700 Hz, 13 coefficients, lifter 22, C0 dropped (so loudness drops out).
    Differs: librosa centres its columns, and its lifter counts coefficients from 1.
    """
    sound = librosa.effects.preemphasis(media.fit(sound, num_frames), coef=PRE_EMPHASIS)
    power = librosa.feature.melspectrogram(
        y=sound, sr=timing.SAMPLE_RATE_HZ, n_fft=NUM_FFT, win_length=WINDOW_SAMPLES, hop_length=timing.HOP,
        window="hamming", center=True, pad_mode="constant", power=2.0,
        n_mels=MEL_BANDS, fmin=MEL_LOW_HZ, fmax=MEL_HIGH_HZ, htk=True, norm=None,
    )  # fmt: skip
    log_mel = np.log(np.maximum(power, LOG_FLOOR))
    cepstra = librosa.feature.mfcc(S=log_mel, n_mfcc=NUM_MFCC + 1, dct_type=2, norm="ortho", lifter=LIFTER)
    columns = num_frames * timing.COLUMNS_PER_FRAME  # the last one librosa gives is centred on the end of the clip
    return cepstra[1:, :columns].astype(np.float32)


def crop_transform(box_4: np.ndarray, size: int) -> np.ndarray:
    """Affine map of frame pixels into the crop of `box_4` (a box of faces.crop_boxes).  Shape: (4,) -> (2, 3)"""
    left, top, right, bottom = box_4
    scale_x, scale_y = size / (right - left), size / (bottom - top)
    # pixel centres lie at +0.5: without the shift every crop would sit half a source pixel off
    shift_x, shift_y = -left * scale_x + 0.5 * scale_x - 0.5, -top * scale_y + 0.5 * scale_y - 0.5
    return np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])


def crop(frame_HW3: Frame, box_4: np.ndarray, size: int) -> np.ndarray:
    """Cut a box out of a frame and scale it; outside the frame its edge is repeated.  Shape: -> (size, size, 3)"""
    shrink = size / float(box_4[2] - box_4[0])
    reach = max(2.0, 2 / shrink)  # px that filters look beyond the box
    limit_2 = np.array(frame_HW3.shape[1::-1])
    low_2 = np.clip(np.floor(box_4[:2] - reach), 0, limit_2 - 1).astype(int)
    high_2 = np.clip(np.ceil(box_4[2:] + reach).astype(int), low_2 + 1, limit_2)
    seen_HW3 = frame_HW3[low_2[1] : high_2[1], low_2[0] : high_2[0]]  # of a Picture, only this becomes RGB
    box_4 = box_4 - np.tile(low_2, 2)
    if shrink < 0.5:  # bilinear warping would skip source pixels: shrink by area first
        size_2 = np.maximum(np.round((high_2 - low_2) * 2 * shrink), 1)
        box_4 = box_4 * np.tile(size_2 / (high_2 - low_2), 2)
        seen_HW3 = cv2.resize(seen_HW3, size_2.astype(int).tolist(), interpolation=cv2.INTER_AREA)
    return cv2.warpAffine(
        seen_HW3, crop_transform(box_4, size), (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def crops(frames: Iterable[Frame], track: Track, size: int) -> Iterator[np.ndarray]:
    """The face of every frame of the track.  Shape: -> (size, size, 3) uint8 each"""
    for frame_HW3, box_4 in zip(frames, faces.crop_boxes(track.boxes_T4), strict=True):
        yield crop(frame_HW3, box_4, size)


def open_source(source: Path | bytes) -> Path | io.BytesIO:
    """A fresh reader of the same bytes: every pass starts at the beginning."""
    return source if isinstance(source, Path) else io.BytesIO(source)


@dataclass(frozen=True, slots=True)
class Tools:
    """What is loaded once a worker."""

    predictor: Predictor
    yaw_weights: np.ndarray  # (137,) of model.quality.fit_yaw


@dataclass(frozen=True, slots=True)
class Examined:
    """A clip's features, by the names of `tasks.shards.Clip`, and its figures, by the names of columns of the index."""

    arrays: dict[str, np.ndarray]
    figures: dict[str, float]


def of_video(source: Path | bytes, p: FaceParams, limits: QualityParams, tools: Tools) -> Examined:
    """Features and figures of a clip, whatever the gates will say of them.

    Of several faces the one is taken whose mouth moves with the sound.
    Errors: media.MediaError for what cannot be read, Refusal for a clip without a face or without sound, one that is
            too short, too long, or takes more processor time than `quality.clip_cpu_s`.
    """
    if not media.probe(open_source(source)).has_sound:
        raise Refusal("no_sound", "there is no sound stream")
    pictures = Pictures(source, p.max_frames, limits.clip_cpu_s)
    watch = quality.Watch(pictures)
    followed = track(watch, p)
    num_frames = len(followed.found_T)
    if num_frames < p.min_frames:
        raise Refusal("too_short", f"{num_frames} frames, faces.min_frames is {p.min_frames}")
    if not seen_enough(followed, p):
        counted = f"{followed.found_T.sum()} of {num_frames} frames"
        raise Refusal("no_face", f"{counted}, faces.min_found is {p.min_found:g}; dlib, upsampled once")
    seen = np.flatnonzero(followed.found_T)
    if seen[-1] - seen[0] + 1 < p.min_frames:
        raise Refusal("too_short", f"a face in {seen[-1] - seen[0] + 1} frames, faces.min_frames is {p.min_frames}")
    sound = media.decode_sound(open_source(source))
    if not len(sound):
        raise Refusal("no_sound", "the sound stream holds no sample")
    fitted = media.fit(sound, num_frames)
    others = [track(pictures, p, other_4) for other_4 in followed.others_N4]
    tracks = [followed, *(other for other in others if seen_enough(other, p))]
    looks = [cut(pictures, one, p.size, tools.predictor) for one in tracks]
    number = 0
    if len(tracks) > 1:
        mouths_NT = np.stack([faces.aperture(landmarks_T682) for _, landmarks_T682 in looks])
        number = speaking(mouths_NT, vowel_levels(fitted, num_frames))
    faces_TSS3, landmarks_T682 = looks[number]
    synchronous, sync_figures = quality.synchronised(fitted, landmarks_T682, limits)
    return Examined(
        arrays={
            "faces_TSS3": faces_TSS3,
            "mfcc_FW": mfcc(synchronous, num_frames),
            "landmarks_T682": landmarks_T682,
            "found_T": tracks[number].found_T,
            "boxes_T4": tracks[number].boxes_T4.astype(np.float32),
        },
        figures={
            **watch.figures(),
            **quality.of_face(tracks[number], landmarks_T682, tools.yaw_weights),
            "num_faces": len(tracks),
            **quality.of_sound(sound, num_frames),
            **sync_figures,
        },
    )


def seen_enough(followed: Track, p: FaceParams) -> bool:
    return bool(followed.found_T.any() and followed.found_T.mean() >= p.min_found)


def cut(pictures: Iterable[Frame], one: Track, size: int, predictor: Predictor) -> tuple[np.ndarray, np.ndarray]:
    """Shape: -> (T, S, S, 3), (T, 68, 2)"""
    faces_TSS3 = np.stack(list(crops(pictures, one, size)))
    return faces_TSS3, predictor(faces_TSS3)


class Pictures:
    """The frames of a video, to be gone through more than once: held up to HOLD_BYTES, else decoded again.

    Errors: media.MediaError; Refusal too_long past `max_frames`, too_slow past `cpu_s` of processor time since it was
            made. Processor time, because a busy machine must not refuse what an idle one keeps.
    """

    def __init__(self, source: Path | bytes, max_frames: int, cpu_s: float) -> None:
        self.source, self.max_frames = source, max_frames
        self.cpu_s, self.until_s = cpu_s, time.thread_time() + cpu_s
        self.held: list[Picture] | None = None

    def __iter__(self) -> Iterator[Picture]:
        if self.held is not None:
            for picture in self.held:
                self.demand_time()
                yield picture
            return
        held: list[Picture] | None = []
        num_bytes = 0
        for number, picture in enumerate(media.pictures(open_source(self.source))):
            if number == self.max_frames:
                raise Refusal("too_long", f"more than faces.max_frames, {self.max_frames}")
            self.demand_time()
            if held is not None:
                held.append(picture)
                num_bytes += picture.nbytes
                if num_bytes > HOLD_BYTES:
                    held = None
            yield picture
        self.held = held

    def demand_time(self) -> None:
        if time.thread_time() > self.until_s:
            raise Refusal("too_slow", f"more than quality.clip_cpu_s, {self.cpu_s:g} s of processor time")
