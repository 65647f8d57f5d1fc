"""Downloading LRS2's lists and parts into corpus.lrs2.folder, and checking their md5."""

import logging
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from model.params import Params
from tasks.acquire import checked, credentials, download, lrs2_lists
from tasks.core import files
from tasks.core.errors import UserError

log = logging.getLogger(__name__)

# Source: the web page of the data set
LIST_MD5 = {
    "train.txt": "ae240cd86c8432afb5a6b8935c863f24",
    "val.txt": "3b7502de5c102519d62477f209c4cd35",
    "test.txt": "e76bb897a2141f3581266daa850966bc",
}
SUMS = "MD5SUMS"
GB = 1e9
_sums = threading.Lock()


def fetch(p: Params, name: str) -> None:
    """Download one list or part, check it, and rename it: a file with the final name is complete.

    Its md5 is compared with the known one. If none is known, the first download is trusted, and its md5 is recorded in
    MD5SUMS for every later download.
    Errors: UserError, as tasks/acquire/download.py; also for a wrong md5: the file is then kept under another name.
    """
    folder = Path(p.corpus.lrs2.folder)
    out = folder / name
    partial = download.fetch(url(p, name), out, credentials.of(p.corpus.lrs2.host), rules(p))
    expected = known_md5(folder).get(name)
    if not expected:
        md5 = files.md5_file(partial)
        log.warning("%s: no md5 is known; trusted at its first download: %s, recorded in %s", name, md5, folder / SUMS)
        with _sums, (folder / SUMS).open("a") as file:
            file.write(f"# {name}: recorded at its first download, compared with no other source\n{md5}  {name}\n")
    checked.keep(partial, out, expected)


def demand_space(p: Params, parts: Sequence[str]) -> None:
    """Errors: UserError if the disk has no room for the parts and the raw shards."""
    folder, auth = Path(p.corpus.lrs2.folder), credentials.of(p.corpus.lrs2.host)
    sizes = {name: download.num_bytes(url(p, name), folder / name, auth, rules(p)) for name in parts}
    total = sum(size for size, _ in sizes.values())
    remaining = total - sum(present for _, present in sizes.values())
    largest = max((size for size, _ in sizes.values()), default=0)
    deleting = remaining + p.acquire.parallel * largest
    needed = deleting if p.acquire.delete_parts else remaining + total
    free = shutil.disk_usage(folder).free
    if free < needed:
        hint = "" if p.acquire.delete_parts else f", or set acquire.delete_parts, which needs {deleting / GB:.1f} GB"
        raise UserError(
            f"{folder}: {needed / GB:.1f} GB are needed for {len(parts)} parts of {total / GB:.1f} GB and the raw "
            f"shards, {free / GB:.1f} GB are free; free some space{hint}"
        )


def url(p: Params, name: str) -> str:
    return f"{p.corpus.lrs2.host.rstrip('/')}/{p.corpus.lrs2.path.strip('/')}/{name}"


def rules(p: Params) -> download.Rules:
    return download.Rules(p.acquire.stall_s, p.acquire.max_failures, p.acquire.backoff_s)


def known_md5(folder: Path) -> dict[str, str]:
    """File -> md5: those of MD5SUMS, in the format of `md5sum`, take precedence over the published ones.

    Errors: UserError for a malformed line of MD5SUMS.
    """
    known = dict(LIST_MD5)
    if (folder / SUMS).is_file():
        for number, line in enumerate((folder / SUMS).read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split()
            if len(words) != 2 or len(words[0]) != 32 or set(words[0].lower()) - set("0123456789abcdef"):
                raise UserError(f"{folder / SUMS}:{number}: must be `<md5> <file>`, as md5sum writes it")
            known[words[1].lstrip("*")] = words[0].lower()
    return known


def check_lists(p: Params) -> None:
    """Errors: UserError if a list is not the published one."""
    folder = Path(p.corpus.lrs2.folder)
    known = known_md5(folder)
    for name in (f"{split}.txt" for split in lrs2_lists.LISTS):
        if name in known and (folder / name).is_file() and (md5 := files.md5_file(folder / name)) != known[name]:
            raise UserError(
                f"{folder / name}: md5 is {md5}, expected {known[name]}; download it again, or, if yours is right, "
                f"write its md5 into {folder / SUMS}"
            )
