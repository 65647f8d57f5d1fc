"""The pictures of a video as a viewer shows them: progressive, upright, in square pixels, of standard dynamic range.
Every reader of videos takes them from here.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from tasks.media import upright
from tasks.media.containers import MediaError, Source, decoded, opened, timed_pictures, video_stream
from tasks.media.frame import Geometry, Picture
from tasks.media.hdr import ToSdr

PICTURES_VERSION = 1  # raise it when the same video gives other pictures; it is part of the unit cache's keys
ODDEST = 4  # pixels wider or higher than this are damage
DEINTERLACE = "mode=send_frame:deint=interlaced"  # a picture for each picture; progressive ones stay


def pictures(container: InputContainer, stream: VideoStream) -> Iterator[tuple[Picture, float]]:
    """Every picture with its start in s after the first one's, never decreasing.

    Errors: those of FFmpeg become MediaErrors in `containers.opened`
    """
    geometry: Geometry | None = None
    to_sdr = ToSdr()
    for frame, time_s in timed_pictures(progressive(decoded(container, stream), stream), stream):
        if geometry is None:
            geometry = geometry_of(frame, stream)
        yield Picture(to_sdr(frame), geometry), time_s


def geometry(source: Source) -> Geometry:
    """How a video is shown, by its first picture.  Errors: MediaError"""
    with opened(source) as container:
        stream = demand_video(container)
        picture, _ = next(pictures(container, stream), (None, 0.0))
        if picture is None:
            raise MediaError("unreadable", "no video frame could be decoded")
        return picture.geometry


def geometry_of(frame: av.VideoFrame, stream: VideoStream) -> Geometry:
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    plausible = Fraction(1, ODDEST) <= aspect <= ODDEST
    return Geometry((frame.width, frame.height), orientation(frame), aspect if plausible else Fraction(1))


def orientation(frame: av.VideoFrame) -> int:
    """Which of the transforms of tasks.media.upright makes the frame upright, by its display matrix."""
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV 18 knows no side data of FFmpeg 8, as of spatial videos; it gives their turn all the same
        return upright.of_quarters(round(frame.rotation / 90))
    return upright.AS_STORED if matrix is None else upright.of_matrix(np.frombuffer(matrix, np.int32))


def demand_video(container: InputContainer) -> VideoStream:
    stream = video_stream(container)
    if stream is None:
        raise MediaError("unreadable", "there is no video stream that can be decoded")
    return stream


def progressive(frames: Iterable[av.VideoFrame], stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Interlaced pictures deinterlaced, one for each, at their times; others unchanged."""
    graph: av.filter.Graph | None = None
    for frame in frames:
        if graph is None and frame.interlaced_frame:
            graph = av.filter.Graph()
            graph.link_nodes(
                graph.add_buffer(template=stream), graph.add("bwdif", DEINTERLACE), graph.add("buffersink")
            ).configure()
        if graph is None:
            yield frame
            continue
        graph.vpush(frame)
        yield from _pulled(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph)


def _pulled(graph: "av.filter.Graph") -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
