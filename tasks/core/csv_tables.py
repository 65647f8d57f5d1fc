"""Small CSV tables, for `dvc plots` and for reading."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.files import write_atomic


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write `csv_text` to a file, all or nothing."""
    write_atomic(path, csv_text(rows))


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """One column per name, in the order they first appear; empty if a row lacks the name.

    Floats have six digits, and none is -0.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({name: f"{value:z.6g}" if isinstance(value, float) else value for name, value in row.items()})
    return text.getvalue()


def read_csv(path: Path) -> list[dict[str, float | str]]:
    """The inverse of `write_csv`: numbers as floats, empty cells as ""."""
    with path.open(newline="") as file:
        return [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def rounded(value: Any) -> Any:
    """Round to six digits, so that machines whose last bits differ agree; -0.0 becomes 0.0."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return round(float(value), 6) + 0.0 if isinstance(value, float | np.floating) else value
