"""A video split into pieces at cuts, none longer than `faces.max_frames`. Most clips are one piece.

No reader seeks: each pass over the pictures has its own reader, which decodes the video once from start to end, so that
pictures are bit for bit those of decoding without pieces, and the work grows linearly with the length. Memory holds a
piece's crops and sound, and its pictures if they are few and small.

A piece of a longer video is `<clip>-<number>` in the index, and its source `<file>#t=<begin>,<end>` in s. A video that
is itself a span of a file (tasks/media/fragments.py) is decoded from the start of the file too.
"""

import io
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from model.params import QualityParams
from tasks.core.errors import Refusal
from tasks.media import decode
from tasks.media.frame import Picture
from tasks.preprocess import gates

PIECES_VERSION = 1  # raise it when videos are split at other places

Source = Path | bytes | Callable[[], BinaryIO]  # a function opens the same bytes again
HOLD_BYTES = 256 << 20  # of decoded frames: LRS2's largest clip takes a quarter of it, 7 s of 720p all


def key_of(clip: str, number: int) -> str:
    return f"{clip}-{number:04d}"


def clip_of(key: str) -> str:
    """The clip of a piece. For the key of a whole clip this is another key, so look up the key itself first."""
    return key.rpartition("-")[0]


def open_source(source: Source) -> Path | BinaryIO:
    """A new file object for the same bytes, at their start."""
    if isinstance(source, Path):
        return source
    return io.BytesIO(source) if isinstance(source, bytes) else source()


class PictureReader:
    """The pictures of a video in order, with a look-ahead of one."""

    def __init__(self, source: Source) -> None:
        self.pictures = decode.Pictures(open_source(source))
        self._next: Picture | None = None
        self.at = 0  # number of the next picture

    def look(self) -> Picture | None:
        """The next picture, without advancing; None after the last.  Errors: MediaError."""
        if self._next is None:
            self._next = next(self.pictures, None)
        return self._next

    def take(self) -> Picture:
        picture = self.look()
        assert picture is not None, "the same bytes gave fewer pictures than before"
        self._next, self.at = None, self.at + 1
        return picture

    def close(self) -> None:
        self.pictures.close()


class Piece:
    """The pictures of one piece, which can be iterated repeatedly: held up to HOLD_BYTES, otherwise decoded again.

    The first pass finds its end. Errors: MediaError; Refusal too_slow beyond `quality.clip_cpu_s` of processor time
    since its creation. It is processor time so that a busy machine refuses the same clips as an idle one.
    """

    def __init__(self, video: "Video", number: int) -> None:
        self.video, self.number, self.first = video, number, video.reader(0).at
        self.num_frames = 0
        self.ended = False  # the end has been found
        self.last = False  # no piece follows
        self.statistics = gates.PictureStatistics()
        self._until_s = time.thread_time() + video.limits.clip_cpu_s
        self._held: list[Picture] | None = []
        self._passes = 0

    def __iter__(self) -> Iterator[Picture]:
        if not self.ended:
            assert not self._passes, "the first pass was interrupted"
            self._passes = 1
            return self._first_pass()
        if self._held is None:
            self._passes += 1
            return self._decoded_again(self.video.reader(self._passes - 1))
        return self._held_pictures(self._held)

    def _first_pass(self) -> Iterator[Picture]:
        reader, num_bytes = self.video.reader(0), 0
        while (picture := self.video.look()) is not None and self.num_frames < self.video.max_frames:
            self.demand_time()
            if not self.statistics.add(picture, self.video.limits.max_change):
                break
            reader.take()
            self.num_frames += 1
            if self._held is not None:
                self._held.append(picture)
                num_bytes += picture.nbytes
                if num_bytes > HOLD_BYTES:
                    self._held = None
            yield picture
        self.ended, self.last = True, picture is None

    def _held_pictures(self, held: list[Picture]) -> Iterator[Picture]:
        for picture in held:
            self.demand_time()
            yield picture

    def _decoded_again(self, reader: PictureReader) -> Iterator[Picture]:
        began_s = time.thread_time()
        while reader.at < self.first:
            reader.take()
        self._until_s += time.thread_time() - began_s  # earlier pieces do not count
        for _ in range(self.num_frames):
            self.demand_time()
            yield reader.take()

    def demand_time(self) -> None:
        if time.thread_time() > self._until_s:
            limit_s = self.video.limits.clip_cpu_s
            raise Refusal("too_slow", f"more than quality.clip_cpu_s, {limit_s:g} s of processor time")


class Video:
    """A video and its pieces, in order; each must be iterated before the next is requested.

    span: first frame and the one after the last; None: all of them
    """

    def __init__(
        self, source: Source, max_frames: int, limits: QualityParams, span: tuple[int, int] | None = None
    ) -> None:
        self.source, self.max_frames, self.limits = source, max_frames, limits
        self.first: int = span[0] if span else 0
        self.end = span[1] if span else None
        self._readers: list[PictureReader] = []

    def __iter__(self) -> Iterator[Piece]:
        number, reader = 0, self.reader(0)
        while reader.at < self.first and reader.look() is not None:
            reader.take()
        while True:
            piece = Piece(self, number)
            yield piece
            if piece.last or not piece.ended:
                return
            del piece  # and its pictures
            number += 1

    def reader(self, number: int) -> PictureReader:
        """The reader of a pass; the first pass of every piece has number 0."""
        while len(self._readers) <= number:
            self._readers.append(PictureReader(self.source))
        return self._readers[number]

    def look(self) -> Picture | None:
        """The next picture of the first pass; None at the end of the span.  Errors: MediaError"""
        reader = self.reader(0)
        return None if self.end is not None and reader.at >= self.end else reader.look()

    @property
    def start_s(self) -> float | None:
        """Time stamp of the file's first picture.  Errors: MediaError"""
        self.reader(0).look()
        return self.reader(0).pictures.start_s

    @property
    def has_sound(self) -> bool:
        """Errors: MediaError"""
        self.reader(0).look()
        return self.reader(0).pictures.has_sound

    @property
    def sounds_left_out(self) -> str:
        """A word about the sound tracks that are not used; "" where there is one.  Errors: MediaError"""
        self.reader(0).look()
        return self.reader(0).pictures.sounds_left_out

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


class SoundReader:
    """The sound of a video, span by span, forwards. `video`, if given, provides the time stamp of its start."""

    def __init__(self, source: Source, video: Video | None = None) -> None:
        self._source, self._video = source, video
        self._blocks: Generator[np.ndarray] | None = None
        self._held: list[np.ndarray] = []
        self._begin = self._end = 0  # of the held blocks, samples

    def span(self, begin: int, end: int | None) -> np.ndarray:
        """Samples from `begin` to `end`, or to the last; fewer at the end of the sound.

        Shape: -> (n,) float32, 16 kHz.  Errors: as decode.decode_sound
        """
        if self._blocks is None:
            source = open_source(self._source)
            self._blocks = decode.sound_from(source, self._video.start_s) if self._video else decode.mono(source)
        while end is None or self._end < end:
            block = next(self._blocks, None)
            if block is None:
                break
            self._held.append(block)
            self._end += len(block)
            self._forget(begin)
        self._forget(begin)
        held = np.concatenate(self._held) if self._held else np.zeros(0, np.float32)
        return held[begin - self._begin : None if end is None else end - self._begin]

    def _forget(self, before: int) -> None:
        while self._held and self._begin + len(self._held[0]) <= before:
            self._begin += len(self._held.pop(0))

    def close(self) -> None:
        if self._blocks is not None:
            self._blocks.close()
