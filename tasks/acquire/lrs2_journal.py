"""The journal of an archive: the members that have been read, and where their bytes are.

A line is written after the bytes that it describes. A stop at any byte leaves at most half a line, or bytes without a
line; both are cut off at the next start.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Member:
    """A member that was read. `at`: the positions of its bytes, empty if they were not kept."""

    part: str
    size: int
    sha256: str
    at: list[tuple[str, int, int]]
    text: str = ""
    confidence: float | None = None


class Journal:
    """The members read so far. `end` is the byte at which reading resumes.

    Of LRS2's 288,000 members only name and position in the journal are in memory; `read` loads the rest.
    """

    def __init__(self, state: Path) -> None:
        self.path, self.spools = state / "journal.jsonl", state / "spool"
        self.parts: dict[str, tuple[int, int]] = {}  # name -> (bytes, mtime in ns)
        self.members: dict[str, int] = {}  # name in the archive -> start of its line
        self.used: dict[str, int] = {}  # file -> end of the last byte in it that a member uses
        self.end, self.whole = 0, False
        self._unsynced: set[Path] = set()
        self.spools.mkdir(parents=True, exist_ok=True)
        self._size = self._load()
        self._file = self.path.open("ab", buffering=0)

    def part(self, name: str, size: int, mtime_ns: int) -> None:
        self._write({"file": name, "bytes": size, "mtime_ns": mtime_ns})

    def member(self, name: str, member: Member, end: int) -> None:
        line = {"name": name, "end": end} | {slot: getattr(member, slot) for slot in Member.__slots__}
        self._write(line)

    def read(self, name: str) -> Member:
        return read_member(self.path, self.members[name])

    def finish(self) -> None:
        self._write({"whole": True})

    def spool(self, name: str, pieces: Iterable[bytes]) -> list[tuple[str, int, int]]:
        """Append bytes to a spool; return their position."""
        path = self.spools / name
        with path.open("ab") as file:
            start = file.tell()
            for piece in pieces:
                file.write(piece)
            size = file.tell() - start
        self._unsynced.add(path)
        return [(str(path), start, size)] if size else []

    def sync(self) -> None:
        """Flush to disk, so that a power cut loses nothing; called before anything is deleted."""
        for path in self._unsynced:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        self._unsynced.clear()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line).encode() + b"\n"
        self._file.write(text)
        self._apply(line, self._size)
        self._size += len(text)

    def _apply(self, line: dict[str, Any], start: int) -> None:
        if "file" in line:
            self.parts[line["file"]] = (line["bytes"], line["mtime_ns"])
        elif "whole" in line:
            self.whole = True
        else:
            self.members[line["name"]] = start
            for file, offset, size in line["at"]:
                self.used[file] = max(self.used.get(file, 0), offset + size)
            self.end = line["end"]

    def _load(self) -> int:
        good = 0
        if self.path.is_file():
            with self.path.open("rb") as file:
                for line in file:
                    try:
                        self._apply(json.loads(line if line.endswith(b"\n") else b""), good)
                    except (ValueError, TypeError, KeyError, AttributeError):
                        break  # half a line, or a damaged one: what follows is read again
                    good += len(line)
            os.truncate(self.path, good)
        for path in self.spools.iterdir():
            if not path.name.startswith("tail-") and path.stat().st_size > self.used.get(str(path), 0):
                os.truncate(path, self.used.get(str(path), 0))
        return good


def read_member(journal: Path, start: int) -> Member:
    """The member whose line starts at a byte of the journal."""
    return read_line(journal, start)[0]


def read_line(journal: Path, start: int) -> tuple[Member, int]:
    """The same, and the byte of the archive at which the next member begins."""
    with journal.open("rb") as lines:
        lines.seek(start)
        line = json.loads(lines.readline())
    at = [(file, offset, size) for file, offset, size in line["at"]]
    return Member(line["part"], line["size"], line["sha256"], at, line["text"], line["confidence"]), line["end"]
