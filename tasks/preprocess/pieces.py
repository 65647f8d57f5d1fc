"""A video in pieces: from cut to cut, and none longer than `faces.max_frames`. Most clips are one piece.

Nothing goes back in the file: each pass over the pictures has a reader of its own that decodes the video once from
first to last, so that pictures are those of a decoding without cuts, bit for bit, and the work grows with the length
alone. Memory holds a piece's crops and sound, and its pictures where they are few and small.

A piece of a video that has several is `<clip>-<number>` in the index, and its source `<file>#t=<begin>,<end>` in s.
"""

import io
import re
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from model import timing
from model.params import QualityParams
from tasks.core.errors import Refusal
from tasks.media import decode
from tasks.media.frame import Picture
from tasks.preprocess import gates

PIECES_VERSION = 1  # raise it when videos are cut at other places

Source = Path | bytes | Callable[[], BinaryIO]  # the last opens the same bytes anew
HOLD_BYTES = 256 << 20  # of decoded frames: LRS2's largest clip has a quarter of it, 7 s of 720p all
SPAN = re.compile(r"#t=(\d+\.\d\d),(\d+\.\d\d)$")  # W3C Media Fragments, seconds


def key_of(clip: str, number: int) -> str:
    return f"{clip}-{number:04d}"


def clip_of(key: str) -> str:
    """The clip that a piece is of; of a clip that is whole this is another key, so look for that one first."""
    return key.rpartition("-")[0]


def source_of(source: str, first: int, num_frames: int) -> str:
    return f"{source}#t={first / timing.FPS:.2f},{(first + num_frames) / timing.FPS:.2f}"


def span_of(source: str) -> tuple[int, int] | None:
    """First frame and the one after the last, of a piece's source; None for a whole clip."""
    said = SPAN.search(source)
    return (round(float(said[1]) * timing.FPS), round(float(said[2]) * timing.FPS)) if said else None


def open_source(source: Source) -> Path | BinaryIO:
    """A fresh reader of the same bytes: every pass starts at the beginning."""
    if isinstance(source, Path):
        return source
    return io.BytesIO(source) if isinstance(source, bytes) else source()


class Reader:
    """The pictures of a video once through; the next can be looked at before it is taken."""

    def __init__(self, source: Source) -> None:
        self.pictures = decode.Pictures(open_source(source))
        self._ahead: Picture | None = None
        self.at = 0  # number of the next picture

    def look(self) -> Picture | None:
        """The next picture, None behind the last.  Errors: MediaError."""
        if self._ahead is None:
            self._ahead = next(self.pictures, None)
        return self._ahead

    def take(self) -> Picture:
        picture = self.look()
        assert picture is not None, "the same bytes gave fewer pictures than before"
        self._ahead, self.at = None, self.at + 1
        return picture

    def close(self) -> None:
        self.pictures.close()


class Piece:
    """The pictures of one piece, to be gone through more than once: held up to HOLD_BYTES, else decoded again.

    The first pass finds where it ends. Errors: MediaError; Refusal too_slow past `quality.clip_cpu_s` of processor time
    since it was made. Processor time, because a busy machine must not refuse what an idle one keeps.
    """

    def __init__(self, film: "Film", number: int) -> None:
        self.film, self.number, self.first = film, number, film.reader(0).at
        self.num_frames = 0
        self.ended = False  # its end was found
        self.last = False  # nothing follows
        self.watch = gates.Watch()
        self._until_s = time.thread_time() + film.limits.clip_cpu_s
        self._held: list[Picture] | None = []
        self._passes = 0

    def __iter__(self) -> Iterator[Picture]:
        if not self.ended:
            assert not self._passes, "the first pass broke off"
            self._passes = 1
            return self._to_the_end()
        if self._held is None:
            self._passes += 1
            return self._again(self.film.reader(self._passes - 1))
        return self._kept(self._held)

    def _to_the_end(self) -> Iterator[Picture]:
        reader, num_bytes = self.film.reader(0), 0
        while (picture := reader.look()) is not None and self.num_frames < self.film.max_frames:
            self.demand_time()
            if not self.watch.add(picture, self.film.limits.max_change):
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

    def _kept(self, held: list[Picture]) -> Iterator[Picture]:
        for picture in held:
            self.demand_time()
            yield picture

    def _again(self, reader: Reader) -> Iterator[Picture]:
        began_s = time.thread_time()
        while reader.at < self.first:
            reader.take()
        self._until_s += time.thread_time() - began_s  # pieces before it are not on this one's account
        for _ in range(self.num_frames):
            self.demand_time()
            yield reader.take()

    def demand_time(self) -> None:
        if time.thread_time() > self._until_s:
            limit_s = self.film.limits.clip_cpu_s
            raise Refusal("too_slow", f"more than quality.clip_cpu_s, {limit_s:g} s of processor time")


class Film:
    """A video and its pieces, in order: each is to be gone through before the next is asked for."""

    def __init__(self, source: Source, max_frames: int, limits: QualityParams) -> None:
        self.source, self.max_frames, self.limits = source, max_frames, limits
        self._readers: list[Reader] = []

    def __iter__(self) -> Iterator[Piece]:
        number = 0
        while True:
            piece = Piece(self, number)
            yield piece
            if piece.last or not piece.ended:
                return
            del piece  # and the pictures it holds
            number += 1

    def reader(self, number: int) -> Reader:
        """That of a pass; the first pass of every piece has number 0."""
        while len(self._readers) <= number:
            self._readers.append(Reader(self.source))
        return self._readers[number]

    @property
    def start_s(self) -> float | None:
        """Time stamp of the first picture.  Errors: MediaError"""
        self.reader(0).look()
        return self.reader(0).pictures.start_s

    @property
    def has_sound(self) -> bool:
        """Errors: MediaError"""
        self.reader(0).look()
        return self.reader(0).pictures.has_sound

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


class Sound:
    """The sound of a video, span by span, forward. `film`, if there is one of this video, knows where it begins."""

    def __init__(self, source: Source, film: Film | None = None) -> None:
        self._source, self._film = source, film
        self._blocks: Generator[np.ndarray] | None = None
        self._held: list[np.ndarray] = []
        self._begin = self._end = 0  # of what is held, samples

    def span(self, begin: int, end: int | None) -> np.ndarray:
        """Samples from `begin` to `end`, or to the last; fewer where there are no more.

        Shape: -> (n,) float32, 16 kHz.  Errors: as media.decode_sound
        """
        if self._blocks is None:
            source = open_source(self._source)
            self._blocks = decode.sound_from(source, self._film.start_s) if self._film else decode.mono(source)
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
