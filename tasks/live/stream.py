"""A live stream: audio in as it comes, frames out at 25 a second, from one face.

    python -m flows live --face portrait.png --audio speech.wav --out out/live.mp4

With LipGAN a frame needs 175 ms of audio on either side of its middle; with the analysis window of the last column,
that is audio up to LOOK_AHEAD_S after the frame's own start. The mesh generator gets as much. A chunk and the computing
come on top, so frames are shown, and the audio is played, DELAY_S later. A frame that cannot be generated before the
next one is due is skipped, and the one before it is shown longer. Audio is never dropped or repeated.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import numpy as np

from model import timing
from model.mfcc import NUM_MFCC, WINDOW_SAMPLES
from model.params import FaceParams
from tasks.core.errors import UserError
from tasks.dubbing import look, speaker
from tasks.dubbing.blend import FaceBlender, as_array
from tasks.features import audio
from tasks.inference.lip_sync import LipSync

LAST_COLUMN = timing.first_column(0) + timing.WINDOW - 1  # of frame 0's window: 19
REACH = WINDOW_SAMPLES // 2  # samples that a column covers after its centre
LOOK_AHEAD_SAMPLES = LAST_COLUMN * timing.HOP + REACH  # after a frame's start: 3240
LOOK_AHEAD_S = LOOK_AHEAD_SAMPLES / timing.SAMPLE_RATE_HZ
CHUNK = 2 * timing.HOP  # samples, 20 ms: one packet of WebRTC
WORK_S = 0.04  # reserved for generating a frame
DELAY_S = LOOK_AHEAD_S + CHUNK / timing.SAMPLE_RATE_HZ + WORK_S
PER_FRAME = timing.COLUMNS_PER_FRAME


class Listener(Protocol):
    """The audio features of a stream, a row a frame.  num_samples: received; num_frames: returned"""

    num_samples: int
    num_frames: int

    def push(self, sound: np.ndarray) -> np.ndarray:
        """The features that are complete now.  Shape: (n,) float32, 16 kHz, any n -> (T, ...), T >= 0"""

    def end(self) -> np.ndarray:
        """Those of the last frames."""


class Speaker(Protocol):
    """A face that speaks.  size_hw: of its frames"""

    size_hw: tuple[int, int]

    def listener(self) -> Listener:
        """Features of a new stream."""

    def frame(self, number: int, features: np.ndarray) -> np.ndarray:
        """Frame `number` of the stream.  Shape: features of one frame -> (H, W, 3) uint8"""


class WindowStream:
    """Audio features of a stream: the windows that `samples.windows` gives for the whole audio, each as soon as its
    audio has come in. Memory holds less than a second, whatever the length.
    """

    def __init__(self) -> None:
        self.num_samples = self.num_frames = 0  # received; returned as windows
        self._sound, self._first_frame = np.zeros(0, np.float32), 0  # samples kept, and the frame they begin with
        self._columns_FW, self._first_column = np.zeros((NUM_MFCC, 0), np.float32), 0

    def push(self, sound: np.ndarray) -> np.ndarray:
        """The windows that are complete now.  Shape: (n,) float32, 16 kHz, any n -> (T, 12, 35), T >= 0"""
        self._sound = np.concatenate([self._sound, sound])
        self.num_samples += len(sound)
        num_columns = (self.num_samples - REACH) // timing.HOP + 1
        num_frames = (num_columns - LAST_COLUMN - 1) // PER_FRAME + 1
        if num_frames > self.num_frames:
            self._add_columns(num_columns, -(-num_columns // PER_FRAME) + 1)
        return self._windows(num_frames)

    def end(self) -> np.ndarray:
        """The windows of the last frames, padded at the edge as always."""
        num_frames = timing.num_frames_of_sound(self.num_samples)
        self._add_columns(num_frames * PER_FRAME, num_frames)
        return self._windows(num_frames)

    @property
    def _num_columns(self) -> int:
        return self._first_column + self._columns_FW.shape[1]

    def _add_columns(self, num_columns: int, num_frames: int) -> None:
        """Columns up to `num_columns`, by the MFCC of a piece that begins a frame before the first new one and ends
        with frame `num_frames` - 1.
        """
        done = self._num_columns
        if num_columns <= done:
            return
        start = max(0, done // PER_FRAME - 1)
        piece = self._sound[timing.num_samples(start - self._first_frame) :]
        new_FW = audio.mfcc(piece, num_frames - start)[:, done - start * PER_FRAME : num_columns - start * PER_FRAME]
        self._columns_FW = np.concatenate([self._columns_FW, new_FW], axis=1)
        needed = max(0, num_columns // PER_FRAME - 1)
        self._sound = self._sound[timing.num_samples(needed - self._first_frame) :]
        self._first_frame = needed

    def _windows(self, num_frames: int) -> np.ndarray:
        at = np.arange(self.num_frames, num_frames)
        self.num_frames = max(self.num_frames, num_frames)
        if not len(at):
            return np.zeros((0, NUM_MFCC, timing.WINDOW), np.float32)
        columns_NW = timing.window_columns(at, self._num_columns) - self._first_column
        windows_TFW = self._columns_FW[:, columns_NW].transpose(1, 0, 2)
        keep = max(0, timing.first_column(self.num_frames))
        self._columns_FW = self._columns_FW[:, keep - self._first_column :]
        self._first_column = keep
        return windows_TFW


class Portrait:
    """A picture with a face that speaks: the frames that dubbing the picture gives, one at a time.

    Errors: UserError where no face is found.
    """

    def __init__(
        self, picture_HW3: np.ndarray, sync: LipSync, p: FaceParams, predictor: look.Points,
        box_4: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        seen = look.picture_face(picture_HW3, p, predictor, box_4)
        if not seen.faces:
            raise UserError("no face found in the picture; it must be frontal and upright, or given by --box")
        face = seen.faces[int(speaker.choose(seen, None, None).who_T[0])]
        self.picture_HW3, self.blender = picture_HW3, FaceBlender(sync, face)
        self.size_hw: tuple[int, int] = picture_HW3.shape[:2]  # type: ignore[assignment]
        [self.target] = self.blender.targets([picture_HW3], np.zeros(1, int))

    def listener(self) -> WindowStream:
        return WindowStream()

    def frame(self, number: int, window_FW: np.ndarray) -> np.ndarray:
        """Shape: (12, 35) -> (H, W, 3) uint8"""
        [made_SS3] = self.blender.generate([self.target], window_FW[None])
        return as_array(self.blender.blend(self.picture_HW3, self.target, self.target.recoloured(made_SS3)))


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """Frame `number` of the stream, for the samples from number x 640 on.  repeated: skipped, the one before stays"""

    number: int
    picture_HW3: np.ndarray
    repeated: bool
    work_s: float


class LiveStream:
    """clock_s: seconds since the first sample was spoken; None: not in real time, no frame is skipped"""

    def __init__(self, speaker: Speaker, clock_s: Callable[[], float] | None = None) -> None:
        self.speaker, self.clock_s = speaker, clock_s
        self.listener = speaker.listener()
        self.last_HW3: np.ndarray | None = None
        speaker.frame(0, self._warm())  # the first call is the slowest

    def push(self, sound: np.ndarray) -> Iterator[StreamFrame]:
        """The frames that this audio completes.  Shape: (n,) float32, 16 kHz, any n"""
        first, started_s = self.listener.num_frames, perf_counter()
        features = self.listener.push(sound)
        return self._frames(first, features, perf_counter() - started_s)

    def end(self) -> Iterator[StreamFrame]:
        """The frames of the remaining audio."""
        first, started_s = self.listener.num_frames, perf_counter()
        features = self.listener.end()
        return self._frames(first, features, perf_counter() - started_s)

    def _warm(self) -> np.ndarray:
        """Features of a frame of silence, by a listener of its own."""
        features: np.ndarray = self.speaker.listener().push(np.zeros(LOOK_AHEAD_SAMPLES, np.float32))[0]
        return features

    def is_late(self, number: int) -> bool:
        """Whether the next frame is due already."""
        return self.clock_s is not None and self.clock_s() > (number + 1) / timing.FPS + DELAY_S

    def _frames(self, first: int, features_T: np.ndarray, listened_s: float) -> Iterator[StreamFrame]:
        """listened_s: computing time of the features, counted with the first frame"""
        for number, features in enumerate(features_T, first):
            if self.last_HW3 is not None and self.is_late(number):
                yield StreamFrame(number, self.last_HW3, True, 0.0)
                continue
            started_s = perf_counter()
            self.last_HW3 = self.speaker.frame(number, features)
            yield StreamFrame(number, self.last_HW3, False, perf_counter() - started_s + listened_s)
            listened_s = 0.0


def chunks(blocks: Iterable[np.ndarray], num: int = CHUNK) -> Iterator[np.ndarray]:
    """The audio in chunks of `num` samples; the last one may be shorter."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        whole = len(rest) // num * num
        yield from rest[:whole].reshape(-1, num)
        rest = rest[whole:]
    if len(rest):
        yield rest
