"""The files of an open corpus, in a zip or in an unpacked folder: names, sizes, hashes and bytes. Nothing is unpacked.

writes  <state>/<zip>.json   what is in a zip: it is hashed once, and need not be here once its clips are stored
"""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from tasks.core.errors import UserError
from tasks.core.files import sha256_file, write_atomic
from tasks.core.progress import progress

MAX_BYTES = 1 << 28  # of one member: no clip of such a corpus is as large


@dataclass(frozen=True, slots=True)
class Member:
    name: str  # in the zip or folder
    size: int
    sha256: str


def listing(place: Path, endings: Sequence[str], state: Path) -> list[Member]:
    """The files with one of the endings, sorted by name. A zip that is not here any more is read from its note.

    Errors: UserError if the zip is damaged
    """
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.is_file() and _wanted(file.name, endings))
        shown = progress(files, f"hashing {place.name}", "file")
        return [Member(str(file.relative_to(place)), file.stat().st_size, sha256_file(file)) for file in shown]
    note = state / f"{place.name}.json"
    known = json.loads(note.read_text()) if note.is_file() else {}
    version = [place.stat().st_size, place.stat().st_mtime_ns] if place.is_file() else None
    if not known or version not in (None, known["version"]):
        with _opened(place) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir() and _wanted(info.filename, endings)]
            infos.sort(key=lambda info: info.filename)
            members = [_member(archive, info, place) for info in progress(infos, f"reading {place.name}", "file")]
        known = {"version": version, "members": [asdict(member) for member in members]}
        write_atomic(note, json.dumps(known))
    return [Member(**member) for member in known["members"]]


def is_known(place: Path, state: Path) -> bool:
    """Whether `listing` can say what is in it."""
    return place.exists() or (state / f"{place.name}.json").is_file()


def read(place: Path, name: str) -> bytes:
    """Errors: UserError if the zip is gone or damaged"""
    if place.is_dir():
        return (place / name).read_bytes()
    with _opened(place) as archive:
        return archive.read(name)


def texts(place: Path, ending: str) -> dict[tuple[str, str], bytes]:
    """(name of the folder that it is in, name without ending) -> bytes, of all files with the ending."""
    if place.is_dir():
        return {(file.parent.name, file.stem): file.read_bytes() for file in sorted(place.rglob(f"*{ending}"))}
    with _opened(place) as archive:
        names = [PurePosixPath(name) for name in sorted(archive.namelist()) if _wanted(name, [ending])]
        return {(name.parent.name, name.stem): archive.read(str(name)) for name in names}


@contextmanager
def _opened(place: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(place) as archive:
            yield archive
    except FileNotFoundError:
        raise UserError(f"{place}: no such file; run `python -m flows acquire` again to get it") from None
    except (zipfile.BadZipFile, EOFError, KeyError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{place}: a damaged zip, or of a kind that is not read ({error}); download it again") from None


def _wanted(name: str, endings: Sequence[str]) -> bool:
    """Neither hidden nor what macOS adds to a zip."""
    parts = PurePosixPath(name).parts
    return PurePosixPath(name).suffix.lower() in endings and not any(p.startswith((".", "__MACOSX")) for p in parts)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path) -> Member:
    if info.file_size > MAX_BYTES:
        raise UserError(f"{place}: {info.filename} has {info.file_size:,} bytes; this is no zip of clips")
    return Member(info.filename, info.file_size, hashlib.sha256(archive.read(info)).hexdigest())
