"""Which downloaded files of LRS2 are trusted: what one must look like, and the md5 that it must have.

reads, writes  MD5SUMS beside the files, in the format of `md5sum`; takes precedence over the published md5

A file is looked at before its md5 is recorded: a login page with status 200 is no part.
"""

import logging
import os
import tarfile
import threading
from collections.abc import Sequence
from pathlib import Path

from model.params import Params
from tasks.acquire import http_answers, lrs2_lists
from tasks.core import files
from tasks.core.errors import UserError
from tasks.core.files import write_atomic

log = logging.getLogger(__name__)

# Source: the web page of the data set
LIST_MD5 = {
    "train.txt": "ae240cd86c8432afb5a6b8935c863f24",
    "val.txt": "3b7502de5c102519d62477f209c4cd35",
    "test.txt": "e76bb897a2141f3581266daa850966bc",
}
SUMS = "MD5SUMS"
HEAD_BYTES = 4096
_sums = threading.Lock()


def known_md5(folder: Path) -> dict[str, str]:
    """File -> md5: those of MD5SUMS take precedence over the published ones.

    Errors: UserError for a malformed line of MD5SUMS.
    """
    known = dict(LIST_MD5)
    for number, line in enumerate(_lines(folder), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 2 or len(words[0]) != 32 or set(words[0].lower()) - set("0123456789abcdef"):
            raise UserError(f"{folder / SUMS}:{number}: must be `<md5> <file>`, as md5sum writes it")
        known[words[1].lstrip("*")] = words[0].lower()
    return known


def record(folder: Path, name: str, md5: str) -> None:
    """Trust a file from now on by its md5, in place of any md5 recorded before."""
    with _sums:
        note = f"# {name}: recorded at its first download, compared with no other source"
        _write(folder, [*_without(folder, name), note, f"{md5}  {name}"])


def demand_kind(p: Params, name: str, path: Path) -> None:
    """Errors: UserError if a file cannot be that list or part: a web page, no list's lines, no tar's first header."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if why := http_answers.foreign(name, head):
        raise UserError(f"{name}: {why}")
    if name.endswith(".txt"):
        lines = head.decode("utf-8", "replace").splitlines()
        if not lines or not lrs2_lists.NAME.fullmatch((lines[0].split() or [""])[0]):
            raise UserError(f"{name}: no list of LRS2: it begins with {head[:30]!r}, wanted <video>/<clip>")
    elif name == p.corpus.lrs2.parts[0]:
        try:
            tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
        except (tarfile.TarError, ValueError) as error:
            raise UserError(f"{name}: no tar begins like this ({error}); check corpus.lrs2.host and path") from None


def demand_lengths(p: Params, num_bytes: dict[str, int]) -> None:
    """Errors: UserError if one part on the server is far shorter than the others; only the last may be."""
    longest = max(num_bytes.values(), default=0)
    for name, size in num_bytes.items():
        if name != p.corpus.lrs2.parts[-1] and 2 * size < longest:
            raise UserError(
                f"{name}: the server has {size} bytes of it and {longest} of another part; {http_answers.no_file('?')}"
            )


def renew(p: Params, names: Sequence[str]) -> str:
    """Trust what is there, or comes next, of some lists or parts, whatever md5 was recorded; returns a line each.

    A download that was put aside for its md5 becomes the file; without one the file itself is trusted if it can be
    that part, or put aside; with neither the next download is trusted.
    Errors: UserError for an unknown name, and for a file put aside that cannot be that part.
    """
    folder = Path(p.corpus.lrs2.folder)
    known = [*p.corpus.lrs2.parts, *(f"{split}.txt" for split in lrs2_lists.LISTS)]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"--trust {unknown[0]}: no list or part of LRS2; known: {', '.join(known)}")
    return "\n".join(_renew_one(p, folder, name) for name in names)


def _renew_one(p: Params, folder: Path, name: str) -> str:
    out, asides = folder / name, sorted(folder.glob(f"{name}.bad-*"), key=lambda path: path.stat().st_mtime_ns)
    if out.is_file() and not asides:
        try:
            demand_kind(p, name, out)
        except UserError as error:
            os.replace(out, put_aside(out, files.md5_file(out)))
            with _sums:
                _write(folder, _without(folder, name))
            return f"{error}; put aside; the next download of it is trusted: run `python -m flows acquire`"
    elif asides:
        demand_kind(p, name, asides[-1])
        os.replace(asides[-1], out)
    else:
        with _sums:
            _write(folder, _without(folder, name))
        return f"{name}: its next download is trusted: run `python -m flows acquire`"
    record(folder, name, md5 := files.md5_file(out))
    return f"{name}: trusted, md5 {md5}"


def put_aside(path: Path, md5: str) -> Path:
    return path.with_name(f"{path.name.removesuffix('.partial')}.bad-{md5[:8]}")


def _lines(folder: Path) -> list[str]:
    path = folder / SUMS
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _without(folder: Path, name: str) -> list[str]:
    """The lines of MD5SUMS but those of one file."""
    about = ([name], [f"*{name}"])
    lines = [line for line in _lines(folder) if not line.startswith(f"# {name}: ")]
    return [line for line in lines if line.startswith("#") or line.split()[1:] not in about]


def _write(folder: Path, lines: Sequence[str]) -> None:
    write_atomic(folder / SUMS, "".join(f"{line}\n" for line in lines))
