"""A video file's faces and sound: what preprocessing stores and inference feeds the network, by the same code.

Two passes over the frames, the first to find the face and the second to cut it out, so that memory holds the crops
of a clip and never its frames.
"""

import io
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import librosa
import numpy as np

from model import faces, timing
from model.params import FaceParams
from tasks import media
from tasks.landmarks import Predictor
from tasks.stage import Refusal

MFCC_VERSION = 1  # raise it when the sound features change

NUM_MFCC = 12
WINDOW_SAMPLES = 400  # 25 ms
NUM_FFT = 512
MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ = 40, 300, 3700
PRE_EMPHASIS, LIFTER = 0.97, 22
LOG_FLOOR = 1e-10  # of mel energy: digital silence gets a finite value

_of_thread = threading.local()


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


def detector() -> "dlib.fhog_object_detector":
    """dlib's frontal face detector, one for each thread: shared, it returns wrong boxes without a word, since dlib
    lets go of the GIL while it searches (measured: 15-45 % of calls wrong).
    """
    if not hasattr(_of_thread, "detector"):
        _of_thread.detector = dlib.get_frontal_face_detector()
    return _of_thread.detector


def detect(frame_HW3: np.ndarray, detect_px: int) -> np.ndarray:
    """All frontal faces in a frame, upsampled once as LipGAN does.  Shape: uint8 RGB -> (N, 4) float, px"""
    shrink = min(1.0, detect_px / max(frame_HW3.shape[:2]))
    grey = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY)
    if shrink < 1:
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found = detector()(grey, 1)
    boxes = [(box.left(), box.top(), box.right() + 1, box.bottom() + 1) for box in found]
    return np.array(boxes, np.float64).reshape(-1, 4) / shrink


@dataclass(frozen=True, slots=True)
class Track:
    """One face through a clip."""

    boxes_T4: np.ndarray  # float, px: the detector's boxes, smoothed, gaps bridged; nan where no frame has a face
    found_T: np.ndarray  # bool: the detector saw it in this frame


def track(frames: Iterable[np.ndarray], p: FaceParams) -> Track:
    """Follow one face: the first by `faces.choose`, then whichever overlaps the last box."""
    boxes: list[np.ndarray | None] = []
    last = None
    for frame_HW3 in frames:
        candidates = detect(frame_HW3, p.detect_px)
        box = faces.choose(candidates, last, p.choose, frame_HW3.shape[:2]) if len(candidates) else None
        boxes.append(box)
        last = last if box is None else box
    found_T = np.array([box is not None for box in boxes], bool)
    boxes_T4 = np.array([np.full(4, np.nan) if box is None else box for box in boxes]).reshape(-1, 4)
    if found_T.any():
        boxes_T4 = faces.smooth_track(boxes_T4, found_T, p.smooth_frames)
    return Track(boxes_T4, found_T)


def crop_transform(box_4: np.ndarray, size: int) -> np.ndarray:
    """Affine map of frame pixels into the crop of `box_4` (a box of faces.crop_boxes).  Shape: (4,) -> (2, 3)"""
    left, top, right, bottom = box_4
    scale_x, scale_y = size / (right - left), size / (bottom - top)
    # pixel centres lie at +0.5: without the shift every crop would sit half a source pixel off
    shift_x, shift_y = -left * scale_x + 0.5 * scale_x - 0.5, -top * scale_y + 0.5 * scale_y - 0.5
    return np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])


def crop(frame_HW3: np.ndarray, box_4: np.ndarray, size: int) -> np.ndarray:
    """Cut a box out of a frame and scale it; outside the frame its edge is repeated.  Shape: -> (size, size, 3)"""
    shrink = size / float(box_4[2] - box_4[0])
    if shrink < 0.5:  # bilinear warping would skip source pixels: shrink by area first
        frame_HW3 = cv2.resize(frame_HW3, None, fx=2 * shrink, fy=2 * shrink, interpolation=cv2.INTER_AREA)
        box_4 = box_4 * 2 * shrink
    return cv2.warpAffine(
        frame_HW3, crop_transform(box_4, size), (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def crops(frames: Iterable[np.ndarray], track: Track, size: int) -> Iterator[np.ndarray]:
    """The face of every frame of the track.  Shape: -> (size, size, 3) uint8 each"""
    for frame_HW3, box_4 in zip(frames, faces.crop_boxes(track.boxes_T4), strict=True):
        yield crop(frame_HW3, box_4, size)


def open_source(source: Path | bytes) -> Path | io.BytesIO:
    """A fresh reader of the same bytes: every pass starts at the beginning."""
    return source if isinstance(source, Path) else io.BytesIO(source)


def of_video(source: Path | bytes, p: FaceParams, predictor: Predictor) -> dict[str, np.ndarray]:
    """Everything a clip's features are, by the names of `tasks.shards.Clip`.

    Errors: media.MediaError for what cannot be read, Refusal for a clip that cannot be used.
    """
    if not media.probe(open_source(source)).has_sound:
        raise Refusal("no_sound", "there is no sound stream")
    followed = track(limited(media.frames(open_source(source)), p.max_frames), p)
    num_frames = len(followed.found_T)
    if num_frames < p.min_frames:
        raise Refusal("too_short", f"{num_frames} frames, faces.min_frames is {p.min_frames}")
    found_share = followed.found_T.mean()
    if not followed.found_T.any() or found_share < p.min_found:
        counted = f"{followed.found_T.sum()} of {num_frames} frames"
        raise Refusal("no_face", f"{counted}, faces.min_found is {p.min_found:g}; dlib, upsampled once")
    seen = np.flatnonzero(followed.found_T)
    if seen[-1] - seen[0] + 1 < p.min_frames:
        raise Refusal("too_short", f"a face in {seen[-1] - seen[0] + 1} frames, faces.min_frames is {p.min_frames}")
    sound = media.decode_sound(open_source(source))
    if not len(sound):
        raise Refusal("no_sound", "the sound stream holds no sample")
    faces_TSS3 = np.stack(list(crops(media.frames(open_source(source)), followed, p.size)))
    return {
        "faces_TSS3": faces_TSS3,
        "mfcc_FW": mfcc(sound, num_frames),
        "landmarks_T682": predictor(faces_TSS3),
        "found_T": followed.found_T,
        "boxes_T4": followed.boxes_T4.astype(np.float32),
    }


def limited(frames: Iterable[np.ndarray], max_frames: int) -> Iterator[np.ndarray]:
    for number, frame_HW3 in enumerate(frames):
        if number == max_frames:
            raise Refusal("too_long", f"more than faces.max_frames, {max_frames}")
        yield frame_HW3
