"""A record of Zenodo: its files with size, md5 and address. The md5 of the first time are kept and never replaced.

writes  <folder>/record.json   file -> md5, size and address, as the record gave them first

Source: developers.zenodo.org, records: `files` is a list of {key, size, checksum: "md5:...", links: {self}}.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from tasks.acquire import download
from tasks.core.errors import UserError
from tasks.core.files import write_atomic

NOTE = "record.json"
OPEN = httpx.Auth()  # no login


@dataclass(frozen=True, slots=True)
class RecordFile:
    md5: str
    size: int
    url: str


def read(url: str, folder: Path, names: list[str], rules: download.Rules) -> dict[str, RecordFile]:
    """Name -> file, for these names.

    Errors: UserError if the record lacks one, if it is not Zenodo's JSON, or if an md5 is not that of the first time
    """
    files = _parse(download.read(url, OPEN, rules), url)
    if missing := [name for name in names if name not in files]:
        raise UserError(f"{url}: the record has no {', '.join(missing)}; it has {', '.join(sorted(files)) or 'none'}")
    note, known = folder / NOTE, pinned(folder)
    for name in names:
        if name in known and known[name].md5 != files[name].md5:
            raise UserError(
                f"{url}: the record changed: the md5 of {name} is {files[name].md5}, {note} has {known[name].md5} from "
                f"the first time; to take the new version, delete {note} and {folder / name}"
            )
    new = known | {name: files[name] for name in names}
    if new != known:
        write_atomic(note, json.dumps({name: asdict(file) for name, file in sorted(new.items())}, indent=2) + "\n")
    return {name: files[name] for name in names}


def pinned(folder: Path) -> dict[str, RecordFile]:
    """What `read` has written; empty before the first time."""
    note = folder / NOTE
    return {name: RecordFile(**about) for name, about in json.loads(note.read_text()).items()} if note.is_file() else {}


def _parse(content: bytes, url: str) -> dict[str, RecordFile]:
    try:
        files = {
            file["key"]: RecordFile(file["checksum"].removeprefix("md5:"), int(file["size"]), file["links"]["self"])
            for file in json.loads(content)["files"]
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{url}: no record of Zenodo with files; check corpus of params.yaml") from None
    if bad := [name for name, file in files.items() if len(file.md5) != 32]:
        raise UserError(f"{url}: no md5 for {bad[0]}")
    return files
