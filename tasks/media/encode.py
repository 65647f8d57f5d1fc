"""Writing video files. tasks/media/decode.py reads them."""

import itertools
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import Colorspace, Interpolation

from model.timing import FPS, SAMPLE_RATE_HZ
from tasks.core.files import all_or_nothing
from tasks.media.containers import url

REPRODUCIBLE = "no-mbtree=1:rc-lookahead=0"  # with its look-ahead x264's bytes differ from run to run
AAC_BLOCK = 1024  # samples
HD_ROWS = 720  # players assume BT.709 from this height on and BT.601 below, if the file does not say
BT709, BT601, LIMITED = 1, 6, 1  # the numbers of ISO/IEC 23091-2, as written in the file
# swscale's default conversion darkens by 1 of 255 and doubles the colour error; BITEXACT: the same on any CPU
ACCURATE = int(
    Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
)


def encode_video(
    out: Path | str | BinaryIO,
    pictures: Iterable[np.ndarray],
    sound: np.ndarray | None,
    *,
    fps: int = FPS,
    crf: int = 17,
    preset: str = "veryfast",
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write an mp4, H.264 yuv420p and AAC 64 kbit/s mono; the same input gives the same bytes.

    A path is written all-or-nothing, with the index in front (players start before the file is loaded); a binary
    file object gets the index at its end. Odd heights and widths are made even, as H.264 requires, by repeating
    the last row or column. Pictures are read one by one as they are encoded. `tags` are metadata of the
    container: title, comment, ...
    Shape: pictures (H, W, 3) uint8 RGB, at least one, all of one size; sound (samples,) float, clipped to [-1, 1]
    Errors: ValueError if there is no picture, or one of another size or type.
    """
    coding = {"crf": str(crf), "preset": preset, "threads": "1", "x264-params": REPRODUCIBLE}
    if isinstance(out, str | Path):
        index_first = {"movflags": "+faststart"}
        with (
            all_or_nothing(Path(out)) as partial,
            av.open(url(partial), "w", format="mp4", options=index_first) as mp4,
        ):
            mp4.metadata.update(tags or {})
            _encode(mp4, pictures, sound, fps, coding, sample_rate_hz)
    else:
        with av.open(out, "w", format="mp4") as mp4:
            mp4.metadata.update(tags or {})
            _encode(mp4, pictures, sound, fps, coding, sample_rate_hz)


def colour_matrix(num_rows: int) -> Colorspace:
    """The colour matrix of a picture of this height whose file does not name one."""
    return Colorspace.ITU709 if num_rows >= HD_ROWS else Colorspace.ITU601


def _encode(
    mp4: OutputContainer,
    pictures: Iterable[np.ndarray],
    sound: np.ndarray | None,
    fps: int,
    coding: dict[str, str],
    rate_hz: int,
) -> None:
    pictures = iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise ValueError("there is no picture to encode")
    height, width = first.shape[:2]
    video = mp4.add_stream("libx264", rate=fps, options=coding)
    video.height, video.width, video.pix_fmt = height + height % 2, width + width % 2, "yuv420p"
    video.codec_context.colorspace = BT709 if height >= HD_ROWS else BT601
    video.codec_context.color_range = LIMITED
    audio = mp4.add_stream("aac", rate=rate_hz, layout="mono", bit_rate=64_000) if sound is not None else None
    num_sent = 0
    for index, picture in enumerate(itertools.chain([first], pictures)):
        if picture.shape != first.shape or picture.dtype != np.uint8:
            got = f"{picture.dtype} {picture.shape}"
            raise ValueError(f"picture {index} is {got}, must be uint8 {first.shape}")
        even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=colour_matrix(height), interpolation=ACCURATE, threads=1
        )
        frame.pts, frame.time_base = index, Fraction(1, fps)
        mp4.mux(video.encode(frame))
        # interleaved with the pictures: the muxer holds in memory whatever is ahead
        while audio and sound is not None and num_sent < min(len(sound), (index + 1) * rate_hz // fps):
            mp4.mux(audio.encode(_aac_block(sound, num_sent, rate_hz)))
            num_sent += AAC_BLOCK
    mp4.mux(video.encode(None))
    if audio and sound is not None:
        for start in range(num_sent, len(sound), AAC_BLOCK):
            mp4.mux(audio.encode(_aac_block(sound, start, rate_hz)))
        mp4.mux(audio.encode(None))


def _aac_block(sound: np.ndarray, start: int, rate_hz: int) -> av.AudioFrame:
    block = np.clip(sound[None, start : start + AAC_BLOCK], -1, 1).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
    return frame
