"""The other sound tracks, the subtitles and the chapters of a film, taken over into another file without re-encoding.

Times are those of the dubbed film: its first picture is at 0.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from tasks.media import containers, decode

KINDS = {"audio": "sound", "subtitle": "subtitles"}
KEPT_TAGS = ("language", "title")


@dataclass
class Tracks:
    """What is taken over from `source`; `kept` and `left_out` name it, once `within` has begun."""

    source: Path
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def within(self, whole: OutputContainer, end_s: float) -> Iterator[Iterator[av.Packet]]:
        """Add the tracks to a file whose header is not written yet; yields their packets, in the order of the source.

        end_s: the file's length; what begins later is cut off
        """
        self.kept.clear()
        self.left_out.clear()
        first_s = decode.first_picture_s(self.source) or 0.0
        with containers.opened(self.source) as container:
            self.add_chapters(container, whole, first_s, end_s)
            streams = {}
            for stream in others(container):
                if (added := self.added(stream, whole)) is not None:
                    streams[stream.index] = added
            yield packets(container, streams, first_s, end_s)

    def added(self, stream: Any, whole: OutputContainer) -> Any:
        """The stream's copy in another file; None where that container does not take it."""
        codec = stream.codec_context.name if stream.codec_context else "unknown coding"
        number = 1 + [other.index for other in stream.container.streams if other.type == stream.type].index(
            stream.index
        )
        named = f"{KINDS[stream.type]} {number} ({codec}, {stream.language or 'no language'})"
        try:
            if stream.codec_context is None:
                raise ValueError("no codec")
            copy: Any = whole.add_stream_from_template(stream)
        except (ValueError, av.FFmpegError):
            self.left_out.append(named)
            return None
        copy.disposition = stream.disposition & ~Disposition.default
        copy.metadata.update({name: stream.metadata[name] for name in KEPT_TAGS if name in stream.metadata})
        self.kept.append(named)
        return copy

    def add_chapters(self, container: InputContainer, whole: OutputContainer, first_s: float, end_s: float) -> None:
        chapters: list[Any] = []
        for chapter in container.chapters():
            base = chapter["time_base"]
            assert base is not None  # as FFmpeg gives it
            first, last = round(first_s / base), round((first_s + end_s) / base)
            low, high = max(chapter["start"], first) - first, min(chapter["end"], last) - first
            if high > low:
                chapters.append({**chapter, "start": low, "end": high})
        if chapters:
            whole.set_chapters(chapters)
            self.kept.append(f"{len(chapters)} chapter{'s' * (len(chapters) > 1)}")


def others(container: InputContainer) -> list[Any]:
    """The sound tracks beside the one that is dubbed, and the subtitles."""
    dubbed = containers.audio_stream(container)
    sounds = [stream for stream in container.streams.audio if dubbed is None or stream.index != dubbed.index]
    return [*sounds, *container.streams.subtitles]


def packets(container: InputContainer, streams: dict[int, Any], first_s: float, end_s: float) -> Iterator[av.Packet]:
    """The packets of some streams as those of others, from `first_s` of the source on, up to `end_s` after it."""
    if not streams:
        return
    last: dict[int, int] = {}
    for packet in container.demux([container.streams[index] for index in streams]):
        if not packet.size or packet.pts is None or packet.time_base is None:
            continue
        index, shift = packet.stream.index, round(first_s / packet.time_base)
        pts = packet.pts - shift
        dts = pts if packet.dts is None else min(pts, packet.dts - shift)
        if pts < 0 or pts * packet.time_base >= end_s or dts <= last.get(index, -1):
            continue  # outside the film, or a time stamp that goes back
        last[index] = dts
        packet.pts, packet.dts, packet.stream = pts, max(0, dts), streams[index]
        yield packet
