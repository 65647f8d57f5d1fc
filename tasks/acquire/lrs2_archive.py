"""Reading LRS2's archive once from start to end, resumable at any point: its members and the positions of their bytes.

writes  .cache/lrs2/<source>/journal.jsonl   a line for each part and each member that has been read
        .cache/lrs2/<source>/spool/          with acquire.delete_parts: the clips' bytes, a file for each raw shard

Reading resumes at the member after the journal's last line. A part is deleted only after all of its bytes were read as
members, headers, or the zeros at the archive's end.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from tasks.acquire import lrs2_lists
from tasks.acquire.lrs2_journal import Journal, Member, read_line
from tasks.acquire.lrs2_parts import BLOCK, CHUNK, MEMBER, PartMissing, Parts, Segment, entries, read_extents
from tasks.acquire.lrs2_parts import Entry as ArchiveEntry
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar

log = logging.getLogger(__name__)

SpoolOf = Callable[[str], str | None]  # clip -> name of the spool for its bytes; None: they are not kept
Demand = Callable[[Journal], None]  # raises UserError if an archive that was read to its end cannot be the data set


def take(files: Sequence[Path], state: Path, spool_of: SpoolOf | None, demand: Demand) -> Journal:
    """Read the rest of the parts that are present; `Journal.whole` says whether that was the archive's end.

    With `spool_of` the clips' bytes are copied into spools, and a part is deleted once all of its bytes are there;
    without it the parts stay.
    Errors: UserError if the archive is damaged, is not LRS2's, lacks what `demand` wants, or changed while its parts
    were being deleted.
    """
    journal = _same_parts(Journal(state), files, state)
    if journal.whole:
        demand(journal)
        if spool_of:
            _drop(files, journal, whole=True)
        return journal
    segments, whole = _segments(files, journal)
    parts = Parts(segments, whole)
    last = max((segment.end for segment in segments), default=0)
    try:
        with bar(last, "reading the archive", "B", initial=min(journal.end, last), scale=True) as shown:
            part = ""
            for entry in entries(parts, journal.end):
                _take_one(entry, parts, journal, spool_of, files)
                before, part = part, _part_of(entry, files, journal)
                if spool_of and before not in ("", part):
                    _drop(files, journal, whole=False)
                shown.update(entry.end - shown.n)
        demand(journal)
        journal.finish()
    except PartMissing:
        log.info("%d members read, up to byte %d; waiting for the next part", len(journal.members), journal.end)
    finally:
        parts.close()
    if spool_of:
        if not journal.whole:
            _keep_tail(segments, journal, last)
        _drop(files, journal, journal.whole)
    return journal


def needed(files: Sequence[Path], state: Path) -> list[Path]:
    """The missing parts that have not been read completely."""
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
    """`take` for an unpacked `mvlrs_v1`: a file is read again only if it changed."""
    journal = Journal(state)
    names = sorted(path for path in root.rglob("*") if path.is_file())
    total = sum(path.stat().st_size for path in names)
    present = {path.relative_to(root.parent).as_posix() for path in names}
    for name in journal.members.keys() - present:
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
    where = parts.name(entry.start)
    if entry.name in journal.members:
        raise UserError(
            f"{where}: the archive holds {entry.name} twice; are the parts in order, and each present once?"
        )
    parts.seek(entry.start)
    content = parts.read(entry.size)
    if len(content) != entry.size:
        raise UserError(f"{where}: the archive ends within {entry.name}: its last part is incomplete")
    match = MEMBER.fullmatch(entry.name)
    if spool_of is None:
        at = parts.extents(entry.start, entry.size)
    else:
        spool = spool_of(match[1]) if match else None
        at = journal.spool(spool, [content]) if spool else []
    sha256 = hashlib.sha256(content).hexdigest()
    part = _part_of(entry, files, journal)
    journal.member(entry.name, _member(entry.name, part, entry.size, sha256, at, content), entry.end)


def _member(name: str, part: str, size: int, sha256: str, at: list[tuple[str, int, int]], content: bytes) -> Member:
    words = lrs2_lists.transcript(content) if name.endswith(".txt") else None
    return Member(part, size, sha256, at, words.text if words else "", words.confidence if words else None)


def _hash(file: BinaryIO) -> tuple[str, bytes]:
    """sha256 of a file, and its first megabyte, which contains any transcript completely."""
    digest, head = hashlib.sha256(), b""
    while chunk := file.read(CHUNK):
        head = head or chunk
        digest.update(chunk)
    return digest.hexdigest(), head


def _part_of(entry: ArchiveEntry, files: Sequence[Path], journal: Journal) -> str:
    """The part with its first byte; for an empty member that with its header's end, as the next may be missing."""
    position, start = entry.start if entry.size else entry.start - 1, 0
    for file in files:
        start += journal.parts[file.name][0]
        if position < start:
            return file.name
    raise AssertionError(entry)


def _same_parts(journal: Journal, files: Sequence[Path], state: Path) -> Journal:
    """The journal; a new one if a part is not the one that was read.

    A part that was replaced by a better copy goes on where reading stopped, if it agrees with all that was read of it.
    """
    start = 0
    for file in files:
        if file.name not in journal.parts:
            break
        size, _ = known = journal.parts[file.name]
        if file.is_file() and known != (now := (file.stat().st_size, file.stat().st_mtime_ns)):
            deleted = [other.name for other in files if other.name in journal.parts and not other.is_file()]
            if deleted and now[0] == size and _agrees(file, start, journal):
                journal.part(file.name, *now)
            elif deleted:
                raise UserError(
                    f"{file} changed since it was read, and {', '.join(deleted)}, read with it, is deleted; "
                    f"delete {state} and all parts, and start again"
                )
            else:
                log.warning("%s changed since it was read; the archive is read from its start", file)
                journal.close()
                shutil.rmtree(state)
                return Journal(state)
        start += size
    return journal


def _agrees(file: Path, start: int, journal: Journal) -> bool:
    """Whether every member that was read from this part alone has the same bytes in the file.

    start: the part's first byte in the archive
    """
    for place in journal.members.values():
        member, end = read_line(journal.path, place)
        first = end - -(-member.size // BLOCK) * BLOCK - start
        if member.part == file.name and member.size and first >= 0 and first + member.size <= file.stat().st_size:
            content = read_extents([(str(file), first, member.size)])
            if hashlib.sha256(content).hexdigest() != member.sha256:
                return False
    return True


def _segments(files: Sequence[Path], journal: Journal) -> tuple[list[Segment], bool]:
    """The parts up to the first missing one, and the kept ends of deleted parts."""
    segments, start, whole = [], 0, True
    tails = _tails(journal)
    for file in files:
        if file.is_file():
            if file.name not in journal.parts:
                stat = file.stat()
                journal.part(file.name, stat.st_size, stat.st_mtime_ns)
            segments.append(Segment(start, start + journal.parts[file.name][0], file, file.name))
        elif file.name not in journal.parts:
            whole = False
            break
        start += journal.parts[file.name][0]
        for first, last in tails:
            if last == start:  # a tail ends where its part ended
                segments.append(Segment(first, last, journal.spools / f"tail-{first}-{last}", file.name))
    return segments, whole


def _tails(journal: Journal) -> list[tuple[int, int]]:
    """The kept ends of parts, each a file spool/tail-<first byte>-<last byte>."""
    return sorted(
        (int(first), int(last)) for _, first, last in (tail.name.split("-") for tail in journal.spools.glob("tail-*"))
    )


def _safe_to(journal: Journal) -> int:
    """The byte up to which no part is needed for further reading."""
    return max([journal.end, *(last for first, last in _tails(journal) if first <= journal.end)])


def _keep_tail(segments: Sequence[Segment], journal: Journal, last: int) -> None:
    """Copy the incomplete member at the end of the last part: its rest is in the next part."""
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
    """Delete the parts whose bytes are all stored elsewhere, and kept ends that have been read."""
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
