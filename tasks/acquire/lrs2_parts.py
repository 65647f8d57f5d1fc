"""LRS2's archive, a tar cut into parts, read as one file without unpacking it or loading it into memory."""

import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from tasks.core.errors import UserError

BLOCK = tarfile.BLOCKSIZE
MAX_MEMBER_BYTES = 1 << 28  # far above any clip of LRS2: a larger size is a damaged header
CHUNK = 1 << 20
AGAIN = "replace that part by an undamaged copy (with source https: delete it) and run again"
MEMBER = re.compile(r"(?:\./)?mvlrs_v1/((?:main|pretrain)/\d+/\d+)\.(mp4|txt)")

Extent = tuple[str, int, int]  # file, offset, size


class PartMissing(Exception):
    """The bytes are in a part that is not present yet."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file with the bytes [start, end) of the archive. `part`: the part they come from, for messages."""

    start: int
    end: int
    path: Path
    part: str = ""


class Parts:
    """The parts as one file, for `tarfile`; reading beyond the present parts raises PartMissing.

    `whole`: the last segment is the end of the archive.
    """

    def __init__(self, segments: Sequence[Segment], whole: bool) -> None:
        self._segments, self._whole, self._at = list(segments), whole, 0
        self._open: tuple[Segment, BinaryIO] | None = None

    def tell(self) -> int:
        return self._at

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        assert whence == os.SEEK_SET
        self._at = position
        return position

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end of the archive."""
        if size > MAX_MEMBER_BYTES + BLOCK:  # tarfile reads names of any length that a damaged header states
            raise tarfile.ReadError(f"a header states {size} bytes")
        pieces = []
        while size > 0 and (piece := self.piece(size)):
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def piece(self, most: int) -> bytes:
        """The next bytes of one part, at most `most`; b"" at the end of the archive."""
        segment = self._segment(self._at)
        if segment is None:
            return b""
        file = self._file(segment)
        file.seek(self._at - segment.start)
        piece = file.read(min(most, segment.end - self._at))
        if not piece:
            raise UserError(f"{segment.path} became shorter while it was read; run the stage again")
        self._at += len(piece)
        return piece

    def name(self, position: int) -> str:
        """The part with a byte of the archive, for messages; that of the last byte beyond the end."""
        before = [segment for segment in self._segments if segment.start <= position]
        holding = [segment for segment in before if position < segment.end]
        return next((segment.part or segment.path.name for segment in [*holding, *reversed(before)]), "the archive")

    def extents(self, start: int, size: int) -> list[Extent]:
        """The positions of a range of the archive's bytes."""
        extents: list[Extent] = []
        while size > 0:
            segment = self._segment(start)
            assert segment is not None
            num = min(size, segment.end - start)
            extents.append((str(segment.path), start - segment.start, num))
            start, size = start + num, size - num
        return extents

    def close(self) -> None:
        if self._open:
            self._open[1].close()
            self._open = None

    def _segment(self, position: int) -> Segment | None:
        if self._open and self._open[0].start <= position < self._open[0].end:
            return self._open[0]
        for segment in self._segments:
            if segment.start <= position < segment.end:
                return segment
        if self._whole and position >= max((segment.end for segment in self._segments), default=0):
            return None
        raise PartMissing(position)

    def _file(self, segment: Segment) -> BinaryIO:
        if not self._open or self._open[0] is not segment:
            self.close()
            self._open = (segment, segment.path.open("rb"))
        return self._open[1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the archive: its bytes are [start, start + size), the next member begins at `end`."""

    name: str
    start: int
    size: int
    end: int


def entries(parts: Parts, start: int) -> Iterator[Entry]:
    """The files of the archive from byte `start` on, at which a member begins.

    Errors: UserError for a member outside the archive's folder, a link, and an archive that is damaged or ends early;
            PartMissing if it continues in a part that is not present yet.
    """
    parts.seek(start)
    end = start
    try:
        # tarfile uses only read, seek and tell
        with tarfile.open(fileobj=cast(IO[bytes], parts), mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # 288,000 of them would take half a gigabyte
                if not member.isdir():
                    yield _checked(member, tar.offset, parts)
                end = tar.offset
            end = tar.offset
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:  # tarfile's, for damaged headers
        raise UserError(f"{parts.name(end)}: the archive is broken at its byte {end}: {error}; {AGAIN}") from None
    _demand_end(parts, end)


def _demand_end(parts: Parts, end: int) -> None:
    """Errors: UserError unless from byte `end` on all is zero: the archive ends where its last part ends."""
    parts.seek(end)
    if parts.read(BLOCK) != bytes(BLOCK):
        raise UserError(
            f"{parts.name(end)}: the archive is broken or ends early: no member and no end of archive at its byte "
            f"{end}; is a part missing or incomplete? {AGAIN}"
        )
    while piece := parts.piece(CHUNK):
        if piece.count(0) != len(piece):
            raise UserError(
                f"{parts.name(end)}: the archive is broken at its byte {end}: zeros where a member begins, and more "
                f"data behind them in {parts.name(parts.tell() - 1)}; {AGAIN}"
            )


def _checked(member: tarfile.TarInfo, end: int, parts: Parts) -> Entry:
    name = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")  # not all are UTF-8
    steps, part = name.split("/"), parts.name(member.offset)
    if name.startswith("/") or ".." in steps or "\0" in name:
        raise UserError(f"{part}: the archive holds {name[:100]!r}, which is outside its folder; this is not LRS2's")
    if not member.isreg() or member.issparse():
        raise UserError(f"{part}: the archive holds {name[:100]!r}, a link or device; this is not LRS2's")
    if not 0 <= member.size <= MAX_MEMBER_BYTES:
        raise UserError(
            f"{part}: the archive holds {name[:100]!r} of {member.size} bytes; no clip of LRS2 is so large; {AGAIN}"
        )
    return Entry(name, member.offset_data, member.size, end)


def read_extents(extents: Sequence[Extent]) -> bytes:
    """The bytes at these positions.  Errors: UserError if a file is missing or shorter."""
    pieces = []
    for name, offset, size in extents:
        try:
            with open(name, "rb") as file:
                file.seek(offset)
                piece = file.read(size)
        except FileNotFoundError:
            raise UserError(f"{name}: missing since the archive was read; put it back") from None
        if len(piece) != size:
            raise UserError(f"{name}: became shorter since it was read")
        pieces.append(piece)
    return b"".join(pieces)
