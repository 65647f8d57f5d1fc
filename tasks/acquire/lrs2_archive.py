"""Reading LRS2's archive once, start to end, over any number of stops: what is in it, and where its bytes lie.

writes  .cache/lrs2/<source>/journal.jsonl   a line for each part and each file that has been read
        .cache/lrs2/<source>/spool/          with acquire.delete_parts: the clips' bytes, a file for each raw shard

A line is written after the bytes it speaks of; a stop at any byte leaves at most half a line or bytes that no line
names, and both are cut off at the next start. Reading goes on at the member after the last line.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tasks.acquire import lrs2_lists
from tasks.acquire.lrs2_parts import MEMBER, NotThere, Parts, Segment, entries
from tasks.acquire.lrs2_parts import Entry as ArchiveEntry
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar

log = logging.getLogger(__name__)
CHUNK = 1 << 20

SpoolOf = Callable[[str], str | None]  # clip -> the spool its bytes go to; None: they are not kept


@dataclass(slots=True)
class Member:
    """A file that came in. `at` is where its bytes lie, empty where they were not kept."""

    part: str
    size: int
    sha256: str
    at: list[tuple[str, int, int]]
    text: str = ""
    confidence: float | None = None


class Journal:
    """What has been read so far. `end` is where reading goes on.

    Of LRS2's 288,000 members only name and place in the journal are in memory; `read` fetches the rest.
    """

    def __init__(self, state: Path) -> None:
        self.path, self.spools = state / "journal.jsonl", state / "spool"
        self.parts: dict[str, tuple[int, int]] = {}  # name -> (bytes, mtime in ns)
        self.members: dict[str, int] = {}  # name in the archive -> where its line begins
        self.used: dict[str, int] = {}  # file -> where the last byte that a member has in it ends
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
        """Add bytes to a spool; return where they lie."""
        path = self.spools / name
        with path.open("ab") as file:
            start = file.tell()
            for piece in pieces:
                file.write(piece)
            size = file.tell() - start
        self._unsynced.add(path)
        return [(str(path), start, size)] if size else []

    def sync(self) -> None:
        """Until here a power cut loses nothing either: called before anything is deleted."""
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
                    if not line.endswith(b"\n"):
                        break
                    self._apply(json.loads(line), good)
                    good += len(line)
            os.truncate(self.path, good)
        for path in self.spools.iterdir():
            if not path.name.startswith("tail-") and path.stat().st_size > self.used.get(str(path), 0):
                os.truncate(path, self.used.get(str(path), 0))
        return good


def read_member(journal: Path, start: int) -> Member:
    """The member whose line begins there."""
    with journal.open("rb") as file:
        file.seek(start)
        line = json.loads(file.readline())
    at = [(place[0], place[1], place[2]) for place in line["at"]]
    return Member(line["part"], line["size"], line["sha256"], at, line["text"], line["confidence"])


def take(files: Sequence[Path], state: Path, spool_of: SpoolOf | None) -> Journal:
    """Read on, as far as the parts go that have come; `Journal.whole` says whether that was the archive's end.

    With `spool_of` the clips' bytes are copied into spools and the parts deleted once all of their bytes are safe
    there; without, they stay where they are.
    Errors: UserError where the archive is broken, is not LRS2's, or changed while its parts were being deleted.
    """
    journal = _same_parts(Journal(state), files, state)
    if journal.whole:
        if spool_of:
            _drop(files, journal, whole=True)
        return journal
    segments, whole = _segments(files, journal)
    parts = Parts(segments, whole)
    last = max((segment.end for segment in segments), default=0)
    try:
        with bar(last, "reading the archive", "B", initial=min(journal.end, last), scale=True) as shown:
            here = ""
            for entry in entries(parts, journal.end):
                _take_one(entry, parts, journal, spool_of, files)
                before, here = here, _part_of(entry, files, journal)
                if spool_of and before not in ("", here):
                    _drop(files, journal, whole=False)
                shown.update(entry.end - shown.n)
        journal.finish()
    except NotThere:
        log.info("%d files read, on to byte %d; waiting for the next part", len(journal.members), journal.end)
    finally:
        parts.close()
    if spool_of:
        if not journal.whole:
            _keep_tail(segments, journal, last)
        _drop(files, journal, journal.whole)
    return journal


def needed(files: Sequence[Path], state: Path) -> list[Path]:
    """The parts that are not there and of which something has not been read."""
    journal = Journal(state)
    journal.close()
    if journal.whole:
        return []
    safe_to, start, missing = _safe_to(journal), 0, []
    for file in files:
        start = start + journal.parts[file.name][0] if file.name in journal.parts and start >= 0 else -1
        if not file.is_file() and not 0 <= start <= safe_to:
            missing.append(file)
    return missing


def take_tree(root: Path, state: Path) -> Journal:
    """The same for an unpacked `mvlrs_v1`: a file that did not change since it was read is not read again."""
    journal = Journal(state)
    names = sorted(path for path in root.rglob("*") if path.is_file())
    total = sum(path.stat().st_size for path in names)
    there = {path.relative_to(root.parent).as_posix() for path in names}
    for name in journal.members.keys() - there:
        del journal.members[name]
    with bar(total, "reading the clips", "B", scale=True) as shown:
        for path in names:
            name, stat = path.relative_to(root.parent).as_posix(), path.stat()
            if name not in journal.members or journal.parts.get(name) != (stat.st_size, stat.st_mtime_ns):
                with path.open("rb") as file:
                    sha256, head = _hash(file)
                journal.part(name, stat.st_size, stat.st_mtime_ns)
                at = [(str(path), 0, stat.st_size)]
                journal.member(name, _member(name, "", stat.st_size, sha256, at, head), 0)
            shown.update(stat.st_size)
    journal.whole = True
    return journal


def _take_one(
    entry: ArchiveEntry, parts: Parts, journal: Journal, spool_of: SpoolOf | None, files: Sequence[Path]
) -> None:
    if entry.name in journal.members:
        raise UserError(f"the archive holds {entry.name} twice; are the parts in their order, and each there once?")
    parts.seek(entry.start)
    content = parts.read(entry.size)
    if len(content) != entry.size:
        raise UserError(f"the archive ends within {entry.name}: its last part is not whole")
    found = MEMBER.fullmatch(entry.name)
    if spool_of is None:
        at = parts.extents(entry.start, entry.size)
    else:
        spool = spool_of(found[1]) if found else None
        at = journal.spool(spool, [content]) if spool else []
    sha256 = hashlib.sha256(content).hexdigest()
    part = _part_of(entry, files, journal)
    journal.member(entry.name, _member(entry.name, part, entry.size, sha256, at, content), entry.end)


def _member(name: str, part: str, size: int, sha256: str, at: list[tuple[str, int, int]], content: bytes) -> Member:
    said = lrs2_lists.transcript(content) if name.endswith(".txt") else None
    return Member(part, size, sha256, at, said.text if said else "", said.confidence if said else None)


def _hash(file: BinaryIO) -> tuple[str, bytes]:
    """sha256 of a file, and its first megabyte: all of any transcript."""
    digest, head = hashlib.sha256(), b""
    while chunk := file.read(CHUNK):
        head = head or chunk
        digest.update(chunk)
    return digest.hexdigest(), head


def _part_of(entry: ArchiveEntry, files: Sequence[Path], journal: Journal) -> str:
    """The part its first byte lies in; without any, the part its header ends in: the next may not have come."""
    position, start = entry.start if entry.size else entry.start - 1, 0
    for file in files:
        start += journal.parts[file.name][0]
        if position < start:
            return file.name
    raise AssertionError(entry)


def _same_parts(journal: Journal, files: Sequence[Path], state: Path) -> Journal:
    """The journal, begun anew where a part is not the one that was read."""
    for file in files:
        if file.is_file() and file.name in journal.parts:
            stat = file.stat()
            if journal.parts[file.name] != (stat.st_size, stat.st_mtime_ns):
                gone = [other.name for other in files if other.name in journal.parts and not other.is_file()]
                if gone:
                    raise UserError(
                        f"{file} changed since it was read, and {', '.join(gone)}, read with it, is deleted; delete "
                        f"{state} and all parts, and begin anew"
                    )
                log.warning("%s changed since it was read; the archive is read from its start", file)
                journal.close()
                shutil.rmtree(state)
                return Journal(state)
    return journal


def _segments(files: Sequence[Path], journal: Journal) -> tuple[list[Segment], bool]:
    """The parts that are there, up to the first that has not come, and the kept ends of deleted ones."""
    segments, start, whole = [], 0, True
    for file in files:
        if file.is_file():
            if file.name not in journal.parts:
                stat = file.stat()
                journal.part(file.name, stat.st_size, stat.st_mtime_ns)
            segments.append(Segment(start, start + journal.parts[file.name][0], file))
        elif file.name not in journal.parts:
            whole = False
            break
        start += journal.parts[file.name][0]
    for first, last in _tails(journal):
        segments.append(Segment(first, last, journal.spools / f"tail-{first}-{last}"))
    return segments, whole


def _tails(journal: Journal) -> list[tuple[int, int]]:
    """The kept ends of parts: a file spool/tail-<first byte>-<last byte> each."""
    return sorted(
        (int(first), int(last)) for _, first, last in (tail.name.split("-") for tail in journal.spools.glob("tail-*"))
    )


def _safe_to(journal: Journal) -> int:
    """Up to here no part is needed any more for reading on."""
    return max([journal.end, *(last for first, last in _tails(journal) if first <= journal.end)])


def _keep_tail(segments: Sequence[Segment], journal: Journal, last: int) -> None:
    """Copy the half member at the end of what has come: it ends in the next part."""
    if not journal.end < last:
        return
    with all_or_nothing(journal.spools / f"tail-{journal.end}-{last}") as partial, partial.open("wb") as file:
        parts = Parts(segments, whole=False)
        parts.seek(journal.end)
        while parts.tell() < last:
            file.write(parts.read(min(CHUNK, last - parts.tell())))
        parts.close()
        file.flush()
        os.fsync(file.fileno())


def _drop(files: Sequence[Path], journal: Journal, whole: bool) -> None:
    """Delete the parts whose bytes are all safe elsewhere, and kept ends that are read."""
    journal.sync()
    tails, safe_to = _tails(journal), _safe_to(journal)
    start = 0
    for file in files:
        if file.name not in journal.parts:
            break
        start += journal.parts[file.name][0]
        if (whole or start <= safe_to) and file.is_file() and str(file) not in journal.used:
            log.warning("%s: all of its bytes are in the raw shards' spools; deleted", file)
            file.unlink()
    for first, last in tails:
        if whole or last <= journal.end:
            (journal.spools / f"tail-{first}-{last}").unlink()
