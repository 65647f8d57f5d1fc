"""Writing a long video in segments, each all-or-nothing, so that a killed run can resume, and joining them."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from model.timing import FPS
from tasks.core.files import all_or_nothing
from tasks.media.containers import url
from tasks.media.decode import audio_frame
from tasks.media.encode import AAC_BLOCK, BT601, BT709, HD_ROWS, LIMITED, REPRODUCIBLE
from tasks.media.frame import Picture, squeezed
from tasks.media.planes import coded
from tasks.media.tracks import Tracks

TICKS_HZ = 90_000  # whole for every usual frame rate: 23.976 has 3753.75, the largest error is 6 us
AAC_BITS_PER_CHANNEL = 96_000
# at one crf the PSNR of veryfast, and about its size, for 40 % of its time
FAST = f"{REPRODUCIBLE}:cabac=1:deblock=0,0"


@dataclass(frozen=True, slots=True)
class Coding:
    """How a dubbed video is written.  aspect: width of a pixel over its height; pictures come in square ones"""

    crf: int = 17
    lossless: bool = False  # H.264 in RGB without loss, and FLAC: for mkv
    aspect: Fraction = Fraction(1)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """FFmpeg's write errors (a full disk) become OSErrors, like those of any other file."""
    try:
        yield
    except av.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error


def write_segment(out: Path, pictures: Iterable[np.ndarray | Picture], ticks: np.ndarray, coding: Coding) -> None:
    """Write one segment of a video, all-or-nothing; `join` puts segments together.

    Each segment starts with a key frame and no picture refers to a later one, so segments follow each other seamlessly.
    Shape: pictures (H, W, 3) uint8 RGB, or as decoded; as many as ticks (N,) int, increasing, in 1 / TICKS_HZ s from
           the segment's start
    """
    with writing(), all_or_nothing(out) as partial, av.open(url(partial), "w", format="mp4") as piece:
        stream: VideoStream | None = None
        for picture, tick in zip(pictures, ticks, strict=True):
            frame = _frame(picture, coding)
            stream = stream or _segment_stream(piece, frame, ticks, coding)
            frame.pts, frame.time_base = int(tick), Fraction(1, TICKS_HZ)
            piece.mux(stream.encode(frame))
        assert stream is not None, out
        piece.mux(stream.encode(None))


def _frame(picture: np.ndarray | Picture, coding: Coding) -> av.VideoFrame:
    """A picture in the encoder's format; one that is decoded in that format is not converted to RGB and back."""
    if isinstance(picture, Picture):
        if picture.is_coded() and not coding.lossless:
            return picture.frame()
        picture = picture.rgb()
    picture = squeezed(picture, coding.aspect)
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), "edge") if height % 2 or width % 2 else picture
    return av.VideoFrame.from_ndarray(even, format="rgb24") if coding.lossless else coded(even, len(even))


def _segment_stream(piece: OutputContainer, first: av.VideoFrame, ticks: np.ndarray, coding: Coding) -> VideoStream:
    rate = Fraction(len(ticks) * TICKS_HZ, max(1, int(ticks[-1] + ticks[-1] // max(1, len(ticks) - 1))))
    rate = (rate if len(ticks) > 1 else Fraction(FPS)).limit_denominator(1001)
    preset, params = ("veryfast", REPRODUCIBLE) if coding.lossless else ("ultrafast", FAST)
    options = {"preset": preset, "threads": "1", "bf": "0", "x264-params": params}
    name = "libx264rgb" if coding.lossless else "libx264"
    options |= {"qp": "0"} if coding.lossless else {"crf": str(coding.crf)}
    stream: VideoStream = piece.add_stream(name, rate=rate, options=options)  # type: ignore[assignment]
    stream.height, stream.width = first.height, first.width
    stream.pix_fmt = "rgb24" if coding.lossless else "yuv420p"
    stream.codec_context.time_base = stream.time_base = Fraction(1, TICKS_HZ)
    stream.codec_context.sample_aspect_ratio = coding.aspect
    if not coding.lossless:
        stream.codec_context.colorspace = BT709 if first.height >= HD_ROWS else BT601
        stream.codec_context.color_range = LIMITED
    return stream


def join(
    out: Path,
    pieces: Sequence[Path],
    ticks: np.ndarray,
    end_tick: int,
    sound: Iterable[np.ndarray],
    rate_hz: int,
    layout: str,
    metadata: Mapping[str, str],
    lossless: bool = False,
    tracks: Tracks | None = None,
) -> None:
    """Join segments of `write_segment` and add sound: mp4, or mkv with FLAC; all-or-nothing.

    tracks: of another file, which are added
    Shape: ticks (N,) int of all pictures, from 0; sound yields (channels, n) float32, clipped to [-1, 1]
    """
    kind, options = (
        ("matroska", {"fflags": "+bitexact"}) if out.suffix.lower() == ".mkv" else ("mp4", {"movflags": "+faststart"})
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(writing())
        partial = stack.enter_context(all_or_nothing(out))
        whole = stack.enter_context(av.open(url(partial), "w", format=kind, options=options))
        whole.metadata.update(metadata)
        with av.open(url(pieces[0])) as first:
            video = whole.add_stream_from_template(first.streams.video[0])
        video.time_base = Fraction(1, TICKS_HZ)
        audio = whole.add_stream("flac" if lossless else "aac", rate=rate_hz, layout=layout)
        if not lossless:
            audio.bit_rate = AAC_BITS_PER_CHANNEL * audio.channels
        more = stack.enter_context(tracks.within(whole, end_tick / TICKS_HZ)) if tracks else iter(())
        track, further = _SoundTrack(whole, audio, sound, rate_hz, layout), _Further(whole, more)
        for number, packet in enumerate(_packets(pieces)):
            tick = int(ticks[number])
            packet.stream, packet.time_base = video, Fraction(1, TICKS_HZ)
            packet.pts = packet.dts = tick
            packet.duration = int(ticks[number + 1] if number + 1 < len(ticks) else end_tick) - tick
            whole.mux(packet)
            track.write_until(tick / TICKS_HZ)  # interleaved: the muxer holds in memory whatever is ahead
            further.write_until(tick / TICKS_HZ)
        track.write_until(float("inf"))
        further.write_until(float("inf"))
        whole.mux(audio.encode(None))


@dataclass
class _Further:
    """Writes the packets of other tracks up to a given time."""

    whole: OutputContainer
    packets: Iterator[av.Packet]
    waiting: av.Packet | None = None

    def write_until(self, time_s: float) -> None:
        while (packet := self.waiting or next(self.packets, None)) is not None:
            self.waiting = packet
            assert packet.pts is not None and packet.time_base is not None  # as tracks.packets yields them
            if packet.pts * packet.time_base > time_s:
                return
            self.whole.mux(packet)
            self.waiting = None


class _SoundTrack:
    """Encodes sound that comes in blocks of any length in the codec's blocks, up to a given time."""

    def __init__(
        self, whole: OutputContainer, audio: AudioStream, sound: Iterable[np.ndarray], rate_hz: int, layout: str
    ) -> None:
        self.whole, self.audio, self.blocks, self.rate_hz, self.layout = whole, audio, iter(sound), rate_hz, layout
        self.num_sent = 0
        self.fifo = av.AudioFifo()
        whole.start_encoding()
        self.block = audio.codec_context.frame_size or AAC_BLOCK

    def write_until(self, time_s: float) -> None:
        while self.num_sent < time_s * self.rate_hz:
            block = next(self.blocks, None)
            if block is None:
                if rest := self.fifo.read(0, partial=True):
                    self.send(rest)
                return
            frame = audio_frame(np.clip(block, -1, 1), self.rate_hz, self.layout)
            frame.time_base = Fraction(1, self.rate_hz)
            self.fifo.write(frame)
            for ready in self.fifo.read_many(self.block):
                self.send(ready)

    def send(self, frame: av.AudioFrame) -> None:
        frame.pts, frame.time_base = self.num_sent, Fraction(1, self.rate_hz)
        self.num_sent += frame.samples
        self.whole.mux(self.audio.encode(frame))


def _packets(pieces: Sequence[Path]) -> Iterator[av.Packet]:
    for piece in pieces:
        with av.open(url(piece)) as container:
            yield from (packet for packet in container.demux(video=0) if packet.size)
