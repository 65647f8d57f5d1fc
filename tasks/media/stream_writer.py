"""Writing a live stream: each frame is encoded and sent before the next one exists."""

from collections.abc import Mapping
from fractions import Fraction
from types import TracebackType
from typing import BinaryIO

import av
import numpy as np
from av.video.reformatter import Colorspace

from model.timing import FPS, SAMPLE_RATE_HZ
from tasks.media import decode
from tasks.media.ear import Ear
from tasks.media.encode import AAC_BLOCK, ACCURATE, BT601, BT709, HD_ROWS, LIMITED, colour_matrix

CODING = {"preset": "ultrafast", "tune": "zerolatency", "crf": "20", "threads": "1"}  # no look-ahead


def video_frame(picture_HW3: np.ndarray, matrix: Colorspace, number: int = 0) -> av.VideoFrame:
    """Frame `number` of a stream, in the encoder's format.  Shape: (H, W, 3) uint8 RGB, both even"""
    frame = av.VideoFrame.from_ndarray(picture_HW3, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=matrix, interpolation=ACCURATE, threads=1
    )
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


class MonoResampler:
    """Audio frames of one rate and layout -> 16 kHz mono, frame by frame; it holds back less than a millisecond.

    Channels become one before the rate is changed, as in tasks/media/decode.py, by what was heard so far.
    """

    def __init__(self) -> None:
        self._ear: Ear | None = None
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE_HZ)

    def __call__(self, frame: av.AudioFrame) -> np.ndarray:
        """Shape: -> (n,) float32, n >= 0"""
        block_CN = decode.floats(frame)
        if self._ear is None or len(self._ear.speakers) != len(block_CN):
            self._ear = Ear([place.name for place in frame.layout.channels])
        self._ear.listen(block_CN, frame.sample_rate)
        mono = decode.audio_frame(self._ear.mono(block_CN)[None], frame.sample_rate, "mono")
        blocks = [out.to_ndarray()[0] for out in self._resampler.resample(mono)]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def silence_like(frame: av.AudioFrame, num: int) -> av.AudioFrame:
    """`num` samples of silence, in the format of another frame."""
    like = frame.to_ndarray()
    shape = (1, num * len(frame.layout.channels)) if frame.format.is_packed else (len(like), num)
    silence = av.AudioFrame.from_ndarray(
        np.zeros(shape, like.dtype), format=frame.format.name, layout=frame.layout.name
    )
    silence.sample_rate = frame.sample_rate
    return silence


class Writer:
    """H.264 and AAC at 25 frames/s and 16 kHz mono.

    kind     "mp4" into a file that can seek, or "matroska", also into a pipe
    size_hw  of all pictures; odd heights and widths are made even by repeating the last row or column
    """

    def __init__(self, out: BinaryIO, kind: str, size_hw: tuple[int, int], tags: Mapping[str, str]) -> None:
        height, width = size_hw
        self._even = ((0, height % 2), (0, width % 2), (0, 0))
        self._matrix = colour_matrix(height)
        self._whole = av.open(out, "w", format=kind)
        self._whole.metadata.update(tags)
        self._video = self._whole.add_stream("libx264", rate=FPS, options=CODING)
        self._video.height, self._video.width, self._video.pix_fmt = height + height % 2, width + width % 2, "yuv420p"
        self._video.codec_context.colorspace = BT709 if height >= HD_ROWS else BT601
        self._video.codec_context.color_range = LIMITED
        self._audio = self._whole.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono", bit_rate=64_000)
        self._waiting = np.zeros(0, np.float32)
        self._num_frames = self._num_samples = 0

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if error is None:
            if len(self._waiting):
                self._send(self._waiting)
            self._whole.mux(self._video.encode(None))
            self._whole.mux(self._audio.encode(None))
        self._whole.close()

    def write(self, picture_HW3: np.ndarray, sound: np.ndarray) -> None:
        """Shape: (H, W, 3) uint8 RGB; (640,) float, clipped to [-1, 1], the sound of this frame"""
        frame = video_frame(np.pad(picture_HW3, self._even, "edge"), self._matrix, self._num_frames)
        self._num_frames += 1
        self._whole.mux(self._video.encode(frame))
        self._waiting = np.concatenate([self._waiting, sound])
        while len(self._waiting) >= AAC_BLOCK:
            self._send(self._waiting[:AAC_BLOCK])
            self._waiting = self._waiting[AAC_BLOCK:]

    def _send(self, block: np.ndarray) -> None:
        clipped = np.clip(block[None], -1, 1).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(clipped, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, self._num_samples, Fraction(1, SAMPLE_RATE_HZ)
        self._num_samples += len(block)
        self._whole.mux(self._audio.encode(frame))
