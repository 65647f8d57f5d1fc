r"""File names as text. The system allows any bytes but "/" and NUL in a name; Python keeps those that are not UTF-8 as
lone surrogates, which JSON, parquet and C2PA refuse.
"""

import difflib
import errno
import hashlib
import heapq
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.core.errors import UserError

LONG_BYTES = 100  # of a name; a longer one is shortened where letters are added to it
KEPT_LETTERS = 20
CANDIDATES = 100  # that are compared letter by letter
SURROGATES = re.compile("[\ud800-\udfff]")
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def valid(value: Any) -> Any:
    r"""Text, and all text in lists and mappings, as valid Unicode: a byte that is not UTF-8 becomes \xe9."""
    if isinstance(value, str):
        return SURROGATES.sub(_escaped, value)
    if isinstance(value, dict):
        return {valid(key): valid(part) for key, part in value.items()}
    return [valid(part) for part in value] if isinstance(value, list | tuple) else value


def one_line(text: str) -> str:
    r"""Valid Unicode without control characters: a line break in a name becomes \n."""
    return CONTROLS.sub(lambda letter: letter.group().encode("unicode_escape").decode(), valid(text))


def _escaped(letter: re.Match[str]) -> str:
    number = ord(letter.group())
    return f"\\x{number & 0xFF:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


def similar(name: str, known: Iterable[str], most: int, cutoff: float = 0.6) -> list[str]:
    """The names that a mistyped one may mean, the likeliest first.

    difflib takes 0.1 ms for each name, a quarter of a minute for LRS2's clips: it judges those alone that have the most
    pairs of letters in common with `name`.
    """
    pairs = {name[at : at + 2] for at in range(len(name) - 1)}
    candidates = heapq.nlargest(CANDIDATES, known, key=lambda each: sum(pair in each for pair in pairs))
    return difflib.get_close_matches(name, candidates, most, cutoff)


def digest(name: str, num_letters: int = 8) -> str:
    """Hexadecimal digits that depend on every byte of a name."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:num_letters]


def shortened(name: str) -> str:
    """The name, or if it is long its first letters and its digest: room for letters before and after it."""
    return name if len(os.fsencode(name)) <= LONG_BYTES else f"{name[:KEPT_LETTERS]}-{digest(name)}"


def demand_allowed(path: Path, option: str) -> None:
    """Errors: UserError for a name that the file system does not allow, of a file or of the folders above it"""
    there = next(folder for folder in (path.parent, *path.parent.parents) if os.path.exists(folder))
    for part in path.parts[len(there.parts) :]:
        try:
            (there / part).lstat()
        except ValueError as error:  # a NUL
            raise UserError(f"{option}: {one_line(str(path))}: {error}") from error
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                size = len(os.fsencode(part))
                raise UserError(
                    f"{option}: {path}: {error.strerror}; {part[:KEPT_LETTERS]}... has {size} bytes"
                ) from error
