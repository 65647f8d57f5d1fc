"""A record of Zenodo: its files with size, md5 and address. The md5 of the first time are kept and never replaced.

writes  <folder>/record.json   file -> md5, size and address, as the record gave them first

Source: developers.zenodo.org, records: `files` is a list of {key, size, checksum: "md5:...", links: {self}}.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from tasks.acquire import download
from tasks.core import files
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
    of_record = _parse(download.read(url, OPEN, rules), url)
    if missing := [name for name in names if name not in of_record]:
        raise UserError(
            f"{url}: the record has no {', '.join(missing)}; it has {', '.join(sorted(of_record)) or 'none'}"
        )
    note, known = folder / NOTE, pinned(folder)
    for name in names:
        if name in known and known[name].md5 != of_record[name].md5:
            raise UserError(
                f"{url}: the record changed: the md5 of {name} is {of_record[name].md5}, {note} has {known[name].md5} "
                f"from the first time; to take the new version, delete {note} and {folder / name}"
            )
    new = known | {name: of_record[name] for name in names}
    if new != known:
        write_atomic(note, json.dumps({name: asdict(file) for name, file in sorted(new.items())}, indent=2) + "\n")
    return {name: of_record[name] for name in names}


def keep(partial: Path, out: Path, expected: str) -> None:
    """Rename a download.  Errors: UserError for another md5 than the record's; it is kept under another name"""
    md5 = files.md5_file(partial)
    os.replace(partial, kept := out if md5 == expected else out.with_name(f"{out.name}.bad-{md5[:8]}"))
    download.forget(partial)
    if kept != out:
        raise UserError(
            f"{out.name}: md5 is {md5}, expected {expected}; kept as {kept}; run again to download it again"
        )


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
