"""A finished download takes its name only if it has the md5 that its publishers give."""

import os
from pathlib import Path

from tasks.acquire import download
from tasks.core import files
from tasks.core.errors import UserError


def keep(partial: Path, out: Path, expected: str | None) -> str:
    """Rename a download; returns its md5.  Errors: UserError for another md5; it is kept under another name"""
    md5 = files.md5_file(partial)
    if expected and md5 != expected:
        aside = out.with_name(f"{out.name}.bad-{md5[:8]}")
        os.replace(partial, aside)
        download.forget(partial)
        raise UserError(
            f"{out.name}: md5 is {md5}, expected {expected}; kept as {aside}; run again to download it again"
        )
    os.replace(partial, out)
    download.forget(partial)
    return md5
