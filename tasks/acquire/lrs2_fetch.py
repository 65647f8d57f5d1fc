"""Downloading LRS2's lists and parts into corpus.lrs2.folder, and checking their md5."""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from model.params import Params
from tasks.acquire import credentials, download, lrs2_lists, lrs2_trust
from tasks.core import files
from tasks.core.errors import UserError

log = logging.getLogger(__name__)

GB = 1e9


def fetch(p: Params, name: str) -> None:
    """Download one list or part, check it, and rename it: a file with the final name is complete.

    Its md5 is compared with the known one. If none is known, the first download that looks like this list or part is
    trusted, and its md5 is recorded in MD5SUMS for every later download.
    Errors: UserError, as tasks/acquire/download.py; also for a file of another kind, which is deleted, and for a wrong
    md5: the file is then kept under another name.
    """
    folder = Path(p.corpus.lrs2.folder)
    out = folder / name
    partial = download.fetch(url(p, name), out, credentials.of(p.corpus.lrs2.host), rules(p))
    try:
        lrs2_trust.demand_kind(p, name, partial)
    except UserError as error:
        partial.unlink()
        download.forget(partial)
        raise UserError(f"{url(p, name)}: {error}") from None
    md5, expected = files.md5_file(partial), lrs2_trust.known_md5(folder).get(name)
    if expected and md5 != expected:
        os.replace(partial, aside := lrs2_trust.put_aside(partial, md5))
        download.forget(partial)
        raise UserError(
            f"{name}: md5 is {md5}, expected {expected}; kept as {aside}; run again to download it again, or, if this "
            f"one is right, `python -m flows acquire --trust {name}`"
        )
    if not expected:
        log.warning("%s: no md5 is known; trusted at its first download: %s, recorded in MD5SUMS", name, md5)
        lrs2_trust.record(folder, name, md5)
    os.replace(partial, out)
    download.forget(partial)


def demand_space(p: Params, parts: Sequence[str]) -> None:
    """Errors: UserError if the disk has no room for the parts and the raw shards."""
    folder, auth = Path(p.corpus.lrs2.folder), credentials.of(p.corpus.lrs2.host)
    sizes = {name: download.num_bytes(url(p, name), folder / name, auth, rules(p)) for name in parts}
    lrs2_trust.demand_lengths(p, {name: size for name, (size, _) in sizes.items()})
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


def check_lists(p: Params) -> None:
    """Errors: UserError if a list is not the published one."""
    folder = Path(p.corpus.lrs2.folder)
    known = lrs2_trust.known_md5(folder)
    for name in (f"{split}.txt" for split in lrs2_lists.LISTS):
        if name in known and (folder / name).is_file() and (md5 := files.md5_file(folder / name)) != known[name]:
            raise UserError(
                f"{folder / name}: md5 is {md5}, expected {known[name]}; download it again, or, if yours is right, "
                f"`python -m flows acquire --trust {name}`"
            )
