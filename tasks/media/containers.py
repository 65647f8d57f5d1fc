"""Opening a video, image or audio file with PyAV, and its streams. Nothing else is opened: no address, no playlist, no
image sequence. tasks/media/decode.py makes arrays of the streams, tasks/media/native_rate.py reads them at their own
rate.
"""

import contextlib
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from model.timing import FPS
from tasks.core.errors import REASONS, UserError

log = logging.getLogger(__name__)

Source = Path | str | BinaryIO

# allowed demuxers; the others play text, or open further files and addresses
FORMATS = (
    "mov,mp4,matroska,webm,mpeg,mpegvideo,mpegts,avi,flv,asf,gif,wav,mp3,flac,ogg,aac,aiff,caf,amr,"
    "mxf,dv,gxf,wtv,nut,rm,ivf,m4v,h264,hevc,obu,vc1,mjpeg,yuv4mpegpipe,"  # studios, recorders, bare streams
    "ac3,eac3,dts,dtshd,truehd,mlp,loas,w64,wv,au,ape,tta,tak,mpc,mpc8,voc,xwma,dsf,ircam,nistsphere,sox,oma,"
    "png_pipe,jpeg_pipe,bmp_pipe,webp_pipe,tiff_pipe"
)
FILE_WIDE = ("asf",)  # these give every stream the length of the longest
NOT_MEDIA = "not a video, picture or sound"
FOREIGN = {  # first bytes of what people mistake for a video
    b"%PDF": "a PDF", b"PK\3\4": "a zip archive or an office document", b"\xd0\xcf\x11\xe0": "an office document",
    b"\x1f\x8b": "a gzip archive", b"Rar!": "a rar archive", b"7z\xbc\xaf": "a 7z archive", b"MThd": "MIDI notes",
    b"<": "a web page or XML", b"#EXTM3U": "a playlist", b"{": "JSON", b"\x7fELF": "a program", b"MZ": "a program",
    b"version https://git-lfs": "a Git LFS pointer: git lfs pull fetches the file",
}  # fmt: skip
MEDIA = re.compile(  # first bytes of containers: what begins like this and cannot be read is damaged
    rb"....(ftyp|moov|mdat|wide|free|skip)|\x1aE\xdf\xa3|RIFF|RF64|riff|\x30\x26\xb2\x75|FLV|OggS|fLaC|ID3|FORM|caff|wvpk"
    rb"|\0\0\1[\xb3\xba]|\x06\x0e\x2b\x34|\.snd|\x0b\x77|#!AMR|MAC |\x89PNG|\xff\xd8\xff|GIF8|BM|II\*\0|MM\0\*",
    re.DOTALL,
)
ASIDE = Disposition.comment | Disposition.visual_impaired | Disposition.karaoke  # beside the main sound
JUMP_S = 60.0  # a time stamp further ahead than this is broken: no talking head pauses for longer


class MediaError(Exception):
    """This file cannot be used. `reason`: "unreadable", "truncated", "no_sound" or "empty_file"."""

    def __init__(self, reason: str, detail: str) -> None:
        assert reason in REASONS, reason
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def url(path: Path) -> str:
    """How FFmpeg is told to write or read a file, whatever its name: "12:30.mp4" alone is an address of protocol 12."""
    return f"file:{path}"


@contextlib.contextmanager
def opened(source: Source) -> Iterator[InputContainer]:
    """Open a file as a container; errors of FFmpeg inside the block become MediaErrors."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(Path(source).open("rb")) if isinstance(source, str | Path) else source
        file.seek(0)
        if not file.read(1):
            raise MediaError("empty_file", "the file has no bytes")
        file.seek(0)
        unnamed = SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)  # without a name the bytes decide
        try:
            options = {"format_whitelist": FORMATS}
            yield stack.enter_context(av.open(unnamed, "r", options=options, metadata_errors="replace"))
        except av.FFmpegError as error:
            file.seek(0)
            raise MediaError("unreadable", problem(error, file.read(32))) from error


def problem(error: av.FFmpegError, start: bytes) -> str:
    """Why a file cannot be opened, from FFmpeg's error and the first bytes. Only what is a medium can be damaged."""
    like_media = MEDIA.match(start)
    if isinstance(error, av.ArgumentError):  # FFmpeg knows the format, FORMATS has it not; or a number in it is wrong
        return f"{'damaged, or ' * bool(like_media)}of a format that is not read here; convert it to mp4, png or wav"
    if not isinstance(error, av.InvalidDataError | av.EOFError):
        return f"FFmpeg says: {error.strerror}"
    if kind := next((kind for first, kind in FOREIGN.items() if start.startswith(first)), ""):
        return f"{NOT_MEDIA}: {kind}"
    return "damaged: it begins like a video, picture or sound, but cannot be read" if like_media else NOT_MEDIA


@contextlib.contextmanager
def readable(path: Path | str, problem: str = "no picture can be read") -> Iterator[None]:
    """A MediaError inside the block becomes a UserError: "<path>: <problem>: <detail>"."""
    try:
        yield
    except MediaError as error:
        raise UserError(f"{path}: {problem}: {error.detail}") from error


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that has a decoder and is not the cover image of an album."""
    moving = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return next((s for s in moving if s.codec_context), None)


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The audio stream that players choose: the one marked default, else the first; it has a decoder."""
    readable = [s for s in container.streams.audio if s.codec_context]
    return min(readable, key=_place_of_sound, default=None)


def _place_of_sound(stream: AudioStream) -> tuple[bool, bool, int]:
    marks = stream.disposition
    return not marks & Disposition.default, bool(marks & ASIDE), stream.index


def left_out(container: InputContainer) -> str:
    """A word about the audio streams that are not used; "" if there is one at most."""
    used, streams = audio_stream(container), list(container.streams.audio)
    if used is None or len(streams) < 2:
        return ""
    named = {s.index: f"{k} ({s.language or 'no language'})" for k, s in enumerate(streams, 1)}
    default = ", marked default," if used.disposition & Disposition.default else ""
    others = ", ".join(name for index, name in named.items() if index != used.index)
    return f"of {len(streams)} sound tracks number {named[used.index]}{default} is used; left out: {others}"


def length_s(container: InputContainer, stream: VideoStream | AudioStream | None) -> float:
    """Length of one stream as the container declares it; 0 if it does not, as in live recordings."""
    if stream is None:
        return 0.0
    if stream.duration and stream.time_base and container.format.name not in FILE_WIDE:
        return float(stream.duration * stream.time_base)
    end_s = 0.0  # the file's own length may be that of the other stream
    if tag := re.fullmatch(r"(\d\d):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", "")):  # Matroska
        end_s = int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    elif len(container.streams) == 1 and container.duration:
        end_s = container.duration / av.time_base
    start_s = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
    return max(0.0, end_s - start_s)


def counted_s(container: InputContainer) -> float:
    """Length of the longest stream by its packets, up to the first that is damaged; nothing is decoded.

    It holds for a live recording, which declares no length, and for a file that declares less than it has.
    """
    ends_s: dict[int, float] = {}
    lengths_s: dict[int, float] = {}
    packets = container.demux([s for s in (video_stream(container), audio_stream(container)) if s])
    with contextlib.suppress(av.FFmpegError):
        for packet in packets:
            stamp = packet.pts if packet.dts is None else packet.dts
            if not packet.size or packet.time_base is None:
                continue
            number, lasts_s = packet.stream.index, float((packet.duration or 0) * packet.time_base)
            start_s = ends_s.get(number, 0.0) if stamp is None else float(stamp * packet.time_base)
            gap_s = start_s - ends_s.get(number, start_s)
            jumps = abs(gap_s) > JUMP_S  # a broken time stamp, as in `timed_pictures`
            lengths_s[number] = lengths_s.get(number, 0.0) + lasts_s + (0.0 if jumps else gap_s)
            ends_s[number] = start_s + lasts_s
    return max(lengths_s.values(), default=0.0)


def decoded(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Any]:
    """Frames of one stream in display order, to the end or to where the file breaks off.

    Undecodable packets before the first frame are skipped: a recording may start between key frames. Later, video
    ends at the first failure, since the next frames depend on it; audio continues after the gap.
    """
    stream.codec_context.thread_count = 1  # so that a damaged file gives the same frames each time
    packets = container.demux(stream)
    any_yet = False
    while True:
        try:
            packet = next(packets, None)  # None at the end, and after an error of the container itself
            if packet is None:
                return
            decoded = packet.decode()
        except av.FFmpegError as error:
            if any_yet and isinstance(stream, VideoStream):
                log.warning("pictures end at damage: %s", error)
                return
            continue
        any_yet = any_yet or bool(decoded)
        yield from decoded


def timed_pictures(pictures: Iterable[av.VideoFrame], stream: VideoStream) -> Iterator[tuple[av.VideoFrame, float]]:
    """Decoded pictures with their start in s after the first one's, never decreasing."""
    usual_s = float(1 / (stream.average_rate or FPS))
    first_s, last_s = None, -usual_s
    for frame in pictures:
        first_s = (frame.time or 0.0) if first_s is None else first_s
        time_s = last_s + usual_s if frame.time is None else max(frame.time - first_s, last_s, 0.0)
        if time_s > last_s + JUMP_S:
            log.warning("pictures end at a time stamp %.0f s ahead", time_s - last_s)
            return
        yield frame, time_s
        last_s = time_s
