"""Hash checks of this machine's files: outputs against dvc.lock, clips of shards against their rows, code against git.

Each function returns findings: one line each that names the file and, if possible, the clip in it. Only hashed bytes
are trusted: instead of a table or description with other bytes than its commit lists, DVC's copy is read.
"""

import hashlib
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from tasks.core import programs
from tasks.core.errors import UserError
from tasks.core.files import md5_file
from tasks.core.progress import bar
from tasks.provenance import dvc_cache
from tasks.storage.table_rows import Rows

T = TypeVar("T")
BLOCK = 1 << 20  # bytes
THREADS = 8  # hashing waits for the disk as much as for the processor


def in_parallel(work: Callable[[Path], T], files: Sequence[Path], what: str) -> list[T]:
    """`work` on every file, several at a time; results in order, with a progress bar in bytes."""
    sizes = [file.stat().st_size if file.is_file() else 0 for file in files]
    with ThreadPoolExecutor(THREADS) as pool, bar(sum(sizes), what, "B", scale=True) as progress:
        results = []
        for size, result in zip(sizes, pool.map(work, files), strict=True):
            results.append(result)
            progress.update(size)
    return results


def code(revision: str, names: Iterable[str]) -> tuple[int, list[str]]:
    """Files of a commit under `names` against the work tree, by git's own hash: (number of files, findings).

    `git status` is not used: it relies on sizes and dates.
    """
    listed = programs.git("ls-tree", "-r", "--format=%(objectname) %(objectmode) %(path)", revision, "--", *names)
    if listed is None:
        raise UserError(f"no commit {revision} here; the audit compares files with a git commit")
    known: dict[str, str] = {}
    for line in listed.splitlines():
        digest, mode, name = line.split(" ", 2)
        if mode.startswith("100"):
            known[name] = digest
    findings = []
    for name, digest in known.items():
        if not Path(name).is_file():
            findings.append(f"{name}: missing, but commit {revision[:12]} has it; `git checkout -- {name}`")
        elif _blob_hash(Path(name), digest) != digest:
            findings.append(f"{name}: differs from commit {revision[:12]}; commit it, or `git checkout -- {name}`")
    untracked = programs.git("ls-files", "--others", "--exclude-standard", "--", *names) or ""
    findings += [f"{name}: not in any commit; `git add` it or delete it" for name in untracked.splitlines()]
    return len(known), findings


def _blob_hash(path: Path, like: str) -> str:
    content = path.read_bytes()
    hashed = hashlib.sha1 if len(like) == 40 else hashlib.sha256
    return hashed(b"blob %d\0" % len(content) + content).hexdigest()


def not_held(wanted: dict[str, str], unpushed: frozenset[str]) -> frozenset[str]:
    """Outs that are neither here nor in the cache, and that no remote can have: those of another machine."""
    return frozenset(
        name
        for name in unpushed & wanted.keys()
        if not Path(name).exists() and not dvc_cache.place(wanted[name]).exists()
    )


def outs(wanted: dict[str, str], unpushed: frozenset[str]) -> dict[str, list[str]]:
    """Outs of stages (path -> hash of dvc.lock) against the files here: findings by out."""
    files = {name: dvc_cache.tracked_files(Path(name)) if digest.endswith(".dir") else [Path(name)] for name, digest in
             wanted.items()}  # fmt: skip
    everything = [file for group in files.values() for file in group if file.is_file()]
    md5s = dict(zip(everything, in_parallel(md5_file, everything, "hashing"), strict=True))
    findings = {
        name: _folder(Path(name), digest, {file: md5s[file] for file in files[name]}, name not in unpushed)
        if digest.endswith(".dir")
        else _file(Path(name), digest, md5s.get(Path(name)), name not in unpushed)
        for name, digest in wanted.items()
    }
    return findings


def _file(path: Path, wanted: str, got: str | None, pushed: bool) -> list[str]:
    if got == wanted:
        return []
    what = f"md5 {got[:12]}, dvc.lock has {wanted[:12]}" if got else "missing"
    return [f"{path}: {what}; {dvc_cache.way_back(path, wanted, pushed=pushed)}"]


def _folder(folder: Path, wanted: str, got: dict[Path, str], pushed: bool) -> list[str]:
    if not folder.is_dir():
        return [f"{folder}: missing; {dvc_cache.way_back(folder, wanted, pushed=pushed)}"]
    here = {file.relative_to(folder).as_posix(): md5 for file, md5 in got.items()}
    if dvc_cache.folder_hash(here) == wanted:
        return []
    if (listed := dvc_cache.files_of(wanted)) is None:
        return [f"{folder}: the hash of its {len(here)} files is not dvc.lock's; the cache has no list of its files"]
    findings = [
        line
        for name in sorted(listed.keys() - here.keys())
        for line in _file(folder / name, listed[name], None, pushed)
    ]
    findings += [f"{folder / name}: not in dvc.lock's {folder}" for name in sorted(here.keys() - listed.keys())]
    for name in sorted(here.keys() & listed.keys()):
        findings += _file(folder / name, listed[name], here[name], pushed)
    return findings


class Place(NamedTuple):
    """Where a row says its clip is, in a shard."""

    offset: int
    size: int
    sha256: str
    clip: str


def members(folder: Path, rows: Rows) -> tuple[int, list[str]]:
    """Rows of kept clips against the members of the shards in `folder`: every byte of a shard must belong to a row.

    Returns (number of clips, findings): a row without its member, a member without a row, other bytes.
    """
    by_shard: dict[str, list[Place]] = defaultdict(list)
    columns = (rows.column(name) for name in ("shard", "offset", "size", "member_sha256", "clip"))
    for name, *place in zip(*columns, strict=True):
        by_shard[name].append(Place(*place))
    for shard in sorted(folder.glob("*.tar")):
        by_shard.setdefault(shard.name, [])

    def check(path: Path) -> list[str]:
        return _shard(path, sorted(by_shard[path.name], key=lambda place: place.offset))

    results = in_parallel(check, [folder / name for name in sorted(by_shard)], f"reading {folder}")
    return sum(map(len, by_shard.values())), [finding for result in results for finding in result]


def _shard(path: Path, places: list[Place]) -> list[str]:
    if not path.is_file():
        return [f"{path}: missing, with {len(places)} clips the table names in it"]
    if path.stat().st_size == 0:
        return [f"{path}: empty"]
    findings, end, length = [], 0, path.stat().st_size
    with path.open("rb") as file:  # mapped, eight shards at a time would be two gigabytes of LRS2
        for start, size, sha256, clip in places:
            if start > end:
                held = _names(_at(file, end, start - end))
                findings.append(f"{path}: bytes {end} to {start} belong to no row: {held}")
            content = _at(file, start, size)
            if hashlib.sha256(content).hexdigest() != sha256:
                findings.append(f"{path}: row of {clip} without its member: other bytes there, {_names(content)}")
            end = max(end, start + size)
        head = _at(file, end, BLOCK)
        file.seek(end)
        if any(piece.strip(b"\0") for piece in iter(lambda: file.read(BLOCK), b"")):
            findings.append(f"{path}: bytes {end} to {length} belong to no row: {_names(head)}")
        full = end + 2 * tarfile.BLOCKSIZE
        full += -full % tarfile.RECORDSIZE
        if length != full:
            findings.append(f"{path}: {length} bytes, its rows make {full}")
    return findings


def _at(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)


def _names(region: bytes) -> str:
    """The first member's name in a region of a shard, if it is readable."""
    name = region[:100].rstrip(b"\0")
    readable = name.isascii() and name.decode("ascii").isprintable() and b"/" in name
    return f"it begins with {name.decode('ascii')}" if readable else "no readable name"


def table_or_copy(path: Path, digest: str) -> Path | None:
    """The file itself if its bytes are those of dvc.lock, else DVC's copy, else None."""
    if path.is_file() and md5_file(path) == digest:
        return path
    return dvc_cache.cached(digest)
