"""Which person is in which split, where the user decides it: a CSV file, `corpus.splits`, in place of the hash rule.

    person,split
    s1,train

A person is named as in the column `person` of data/clips.parquet. A list without rows leaves the choice to the rule of
model/splits.py; one with rows names every person of the corpus, so that nobody slips into a split unnoticed.
"""

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from model import splits
from tasks.core import paths
from tasks.core.errors import UserError

COLUMNS = ["person", "split"]
SPLITS = (splits.TRAIN, "val", "test")
MAX_NAMED = 5


def read(path: Path, persons: Collection[str], known: Collection[str] = ()) -> dict[str, str]:
    """Person -> split; empty if the list has no rows.

    persons: of the clips that are taken
    known: further ones that may be listed: withdrawn, or without a clip that can be used
    Errors: UserError for a line that is not `person,split`, a person or split that there is not, a person in two
        splits, one of `persons` without a line, and a list with nobody in train
    """
    if path == paths.SPLITS and not path.is_file():
        return {}
    split_of: dict[str, str] = {}
    for number, (person, split) in _rows(path):
        where = f"{path}: line {number}"
        if split not in SPLITS:
            raise UserError(f"{where}: {split!r} is no split; wanted {', '.join(SPLITS)}")
        if person not in persons and person not in known:
            there = _some(sorted({*persons, *known}))
            raise UserError(f"{where}: the corpus has no person {person!r}, only {there}; correct or remove the line")
        if split_of.setdefault(person, split) != split:
            raise UserError(f"{where}: {person} is in {split}, and in {split_of[person]} above; keep one of the lines")
    if split_of and (missing := sorted(set(persons) - split_of.keys())):
        raise UserError(f"{path}: no split for {_some(missing)}; add lines such as `{missing[0]},{splits.TRAIN}`")
    if split_of and splits.TRAIN not in split_of.values():
        raise UserError(f"{path}: nobody is in {splits.TRAIN}: nothing is left to train on")
    return split_of


def _rows(path: Path) -> Iterator[tuple[int, tuple[str, str]]]:
    """(line number, cells) below the header."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        table = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(table.line_num, [cell.strip() for cell in cells]) for cells in table if cells]
    except OSError as error:
        raise UserError(f"corpus.splits: {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8: {error}") from None
    header = ",".join(rows[0][1]) if rows else ""
    if header != ",".join(COLUMNS):
        raise UserError(f"{path}: the first line must be {','.join(COLUMNS)}, got {header!r}")
    for number, cells in rows[1:]:
        if len(cells) != len(COLUMNS) or not all(cells):
            raise UserError(f"{path}: line {number} must be {','.join(COLUMNS)}, got {','.join(cells)!r}")
        yield number, (cells[0], cells[1])


def _some(persons: list[str]) -> str:
    more = len(persons) - MAX_NAMED
    return ", ".join(persons[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
