"""Fetching LRS2's lists and parts into corpus.lrs2.folder; and whether they are the ones they should be."""

import logging
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from model.params import Params
from tasks.acquire import credentials, download, lrs2_lists
from tasks.core import files
from tasks.core.errors import UserError

log = logging.getLogger(__name__)

# Source: the page of the data set
LIST_MD5 = {
    "train.txt": "ae240cd86c8432afb5a6b8935c863f24",
    "val.txt": "3b7502de5c102519d62477f209c4cd35",
    "test.txt": "e76bb897a2141f3581266daa850966bc",
}
SUMS = "MD5SUMS"
GB = 1e9
_sums = threading.Lock()


def fetch(p: Params, name: str) -> None:
    """Fetch one list or part, check it, and give it its name: under it, it is whole.

    Its md5 is compared with the known one. Where none is known it is trusted this first time, and recorded in
    MD5SUMS, which every later download is compared with.
    Errors: UserError, as tasks/acquire/download.py; and where the md5 is another: the file is kept aside.
    """
    folder = Path(p.corpus.lrs2.folder)
    out = folder / name
    partial = download.fetch(url(p, name), out, credentials.of(p.corpus.lrs2.host), rules(p))
    got, wanted = files.md5_file(partial), known_md5(folder).get(name)
    if wanted and got != wanted:
        aside = folder / f"{name}.bad-{got[:8]}"
        os.replace(partial, aside)
        download.forget(partial)
        raise UserError(f"{name}: md5 is {got}, wanted {wanted}; it is kept as {aside}, run again to fetch it anew")
    if not wanted:
        log.warning("%s: no md5 is known; trusted at its first download: %s, recorded in %s", name, got, folder / SUMS)
        with _sums, (folder / SUMS).open("a") as file:
            file.write(f"# {name}: recorded at its first download, compared with no other source\n{got}  {name}\n")
    os.replace(partial, out)
    download.forget(partial)


def demand_space(p: Params, parts: Sequence[str]) -> None:
    """UserError where the disk cannot hold what is to come: the parts, and the raw shards made of them."""
    folder, auth = Path(p.corpus.lrs2.folder), credentials.of(p.corpus.lrs2.host)
    sizes = {name: download.num_bytes(url(p, name), folder / name, auth, rules(p)) for name in parts}
    total = sum(size for size, _ in sizes.values())
    to_come = total - sum(there for _, there in sizes.values())
    largest = max((size for size, _ in sizes.values()), default=0)
    thrifty = to_come + p.acquire.parallel * largest
    needed = thrifty if p.acquire.delete_parts else to_come + total
    free = shutil.disk_usage(folder).free
    if free < needed:
        hint = "" if p.acquire.delete_parts else f", or set acquire.delete_parts, which needs {thrifty / GB:.1f} GB"
        raise UserError(
            f"{folder}: {needed / GB:.1f} GB are needed for {len(parts)} parts of {total / GB:.1f} GB and the raw "
            f"shards, {free / GB:.1f} GB are free; make room{hint}"
        )


def url(p: Params, name: str) -> str:
    return f"{p.corpus.lrs2.host.rstrip('/')}/{p.corpus.lrs2.path.strip('/')}/{name}"


def rules(p: Params) -> download.Rules:
    return download.Rules(p.acquire.stall_s, p.acquire.max_failures, p.acquire.backoff_s)


def known_md5(folder: Path) -> dict[str, str]:
    """File -> md5: those of MD5SUMS, as `md5sum` writes it, before those that are known here.

    Errors: UserError where MD5SUMS has a line of another kind.
    """
    known = dict(LIST_MD5)
    if (folder / SUMS).is_file():
        for number, line in enumerate((folder / SUMS).read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split()
            if len(words) != 2 or len(words[0]) != 32 or set(words[0].lower()) - set("0123456789abcdef"):
                raise UserError(f"{folder / SUMS}:{number}: wanted `<md5> <file>`, as md5sum writes it")
            known[words[1].lstrip("*")] = words[0].lower()
    return known


def check_lists(p: Params) -> None:
    """UserError where a list is not the published one."""
    folder = Path(p.corpus.lrs2.folder)
    known = known_md5(folder)
    for name in (f"{split}.txt" for split in lrs2_lists.LISTS):
        if name in known and (folder / name).is_file() and (got := files.md5_file(folder / name)) != known[name]:
            raise UserError(
                f"{folder / name}: md5 is {got}, wanted {known[name]}; fetch it again, or, if yours is right, say so "
                f"in {folder / SUMS}"
            )
