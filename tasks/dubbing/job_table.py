"""The table of a job list, as editors and spreadsheets write it: cells separated by comma, semicolon, tab or bar, in
UTF-8 or an encoding with a mark (BOM), with any line ends. Excel writes semicolons where the comma is the decimal sign.
"""

import csv
import io
import itertools
import os
import re
from collections.abc import Sequence
from pathlib import Path

from tasks.core import texts
from tasks.core.errors import UserError

SEPARATORS = ",;\t|"
SEPARATOR_LINE = re.compile(r"\"?sep=(.)\"?\r?\n?", re.IGNORECASE)  # Excel's own first line
EMPTY_LINES = re.compile(r"\A(?:[ \t,;|\"]*[\r\n]+)+")  # before the first one with a name
NUMBER = r"\d+(?:\.\d+)?"
PARTS = {  # columns whose value has commas, which people forget to quote
    "speaker": (NUMBER, rf"{NUMBER}@\S+"),
    "face": (NUMBER, rf"{NUMBER}@\S+"),  # of a speaker
    "box": (NUMBER,) * 4,
}

Row = tuple[int, dict[str, str]]  # number of the job, from 1, and its non-empty cells


def read(path: Path, columns: Sequence[str], kind: str = "job") -> list[Row]:
    """The rows that are not empty, by column.  kind: what a row is

    Errors: UserError for a file that is not such a table, or has a column that is not one of `columns`
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    text = decoded(content)
    separator = ""
    if line := SEPARATOR_LINE.match(text):
        separator, text = line[1], text[line.end() :]
    text = EMPTY_LINES.sub("", text)
    separator = separator or separator_of(text, columns)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}: not a table of {kind}s: {error}") from error
    header = [name.strip() for name in next(iter(lines), [])]
    while header and not header[-1]:
        header.pop()
    if unknown := [name for name in header if name not in columns]:
        raise UserError(f"{path}: {unknown[0]!r} is not a column; known: {', '.join(columns)}")
    if twice := [name for name in header if header.count(name) > 1]:
        raise UserError(f"{path}: two columns are named {twice[0]}")
    filled = [line for line in lines[1:] if any(cell.strip() for cell in line)]
    return [(number, cells_of(path, f"{kind} {number}", header, line)) for number, line in enumerate(filled, 1)]


def decoded(content: bytes) -> str:
    """Without a mark and not UTF-8: the bytes of file names of this system, or else Windows' Western encoding."""
    try:
        return texts.decoded(content)
    except UnicodeDecodeError:
        as_bytes = os.fsdecode(content)
        words = [word.strip() for word in re.split(r"[,;\t|\r\n\"]", as_bytes)]
        is_file = any(os.path.exists(word) for word in words if re.search("[\udc80-\udcff]", word))
        return as_bytes if is_file else content.decode("cp1252", "replace")


def separator_of(text: str, columns: Sequence[str]) -> str:
    """The one by which the first line falls into the most known columns."""
    first = next(iter(text.splitlines()), "")
    return max(SEPARATORS, key=lambda separator: sum(name.strip(' "') in columns for name in first.split(separator)))


def cells_of(path: Path, row: str, header: list[str], line: list[str]) -> dict[str, str]:
    cells = [cell.strip() for cell in line]
    if len(cells) > len(header):  # before empty cells at the end are dropped: one may be the last column's
        cells = joined(header, cells)
    while len(cells) > len(header) and not cells[-1]:
        cells.pop()
    if len(cells) > len(header):
        raise UserError(
            f"{path}: {row} has {len(cells)} cells, the first line names {len(header)} columns; put a cell "
            "that has a separator in it into double quotes"
        )
    return {name: cell for name, cell in itertools.zip_longest(header, cells, fillvalue="") if cell}


def joined(header: list[str], cells: list[str]) -> list[str]:
    """`640` and `200@62` of column speaker as one cell; likewise the four numbers of box."""
    whole, rest = [], cells
    for name in header:
        parts = PARTS.get(name, ())
        if len(parts) <= len(rest) and parts and all(map(re.fullmatch, parts, rest)):
            whole.append(",".join(rest[: len(parts)]))
            rest = rest[len(parts) :]
        else:
            whole += rest[:1]
            rest = rest[1:]
    return whole + rest
