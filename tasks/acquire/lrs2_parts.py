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
MEMBER = re.compile(r"(?:\./)?mvlrs_v1/((?:main|pretrain)/\d+/\d+)\.(mp4|txt)")

Extent = tuple[str, int, int]  # file, offset, size


class PartMissing(Exception):
    """The bytes are in a part that is not present yet."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file with the bytes [start, end) of the archive."""

    start: int
    end: int
    path: Path


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
        pieces = []
        while size > 0 and (segment := self._segment(self._at)):
            file = self._file(segment)
            file.seek(self._at - segment.start)
            piece = file.read(min(size, segment.end - self._at))
            if not piece:
                raise UserError(f"{segment.path} became shorter while it was read; run the stage again")
            pieces.append(piece)
            self._at += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

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
    try:
        # tarfile uses only read, seek and tell
        with tarfile.open(fileobj=cast(IO[bytes], parts), mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # 288,000 of them would take half a gigabyte
                if not member.isdir():
                    yield _checked(member, tar.offset)
            end = tar.offset
    except tarfile.TarError as error:
        raise UserError(f"the archive is broken after byte {parts.tell()}: {error}") from None
    parts.seek(end)
    if parts.read(BLOCK) != bytes(BLOCK):
        raise UserError(
            f"the archive is broken or ends early: no member and no end of archive at byte {end}; is a part missing "
            "or incomplete?"
        )


def _checked(member: tarfile.TarInfo, end: int) -> Entry:
    steps = member.name.split("/")
    if member.name.startswith("/") or ".." in steps or "\0" in member.name:
        raise UserError(f"the archive holds {member.name[:100]!r}, which is outside its folder; this is not LRS2's")
    if not member.isreg() or member.issparse():
        raise UserError(f"the archive holds {member.name[:100]!r}, a link or device; this is not LRS2's")
    if member.size > MAX_MEMBER_BYTES:
        raise UserError(f"the archive holds {member.name[:100]!r} of {member.size} bytes; no clip of LRS2 is so large")
    return Entry(member.name, member.offset_data, member.size, end)


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
