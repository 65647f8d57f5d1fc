"""Rows of a clip table that stay columns of Arrow and become dicts when they are asked for.

144,000 dicts of all columns take 3 GB, the columns 0.1 GB.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:  # which imports this module
    from tasks.storage.index import Row

AT_ONCE = 1000  # rows in memory as dicts


class Rows(Sequence["Row"]):
    """Rows of a table, chosen by number in rising order: no choice copies a column.

    A row is a new dict each time; to change it changes no table.
    """

    def __init__(self, table: pa.Table, at_N: np.ndarray | None = None) -> None:
        self._table = table
        self._at_N = np.arange(len(table)) if at_N is None else at_N

    def __len__(self) -> int:
        return len(self._at_N)

    @overload
    def __getitem__(self, at: int) -> "Row": ...
    @overload
    def __getitem__(self, at: slice) -> "Rows": ...
    def __getitem__(self, at: int | slice) -> "Row | Rows":
        if isinstance(at, slice):
            return Rows(self._table, self._at_N[at])
        [row] = self._table.slice(int(self._at_N[at]), 1).to_pylist()
        return cast("Row", row)

    def __iter__(self) -> Iterator["Row"]:
        first = 0
        for batch in self._table.to_batches(max_chunksize=AT_ONCE):
            begin, end = np.searchsorted(self._at_N, (first, first + len(batch)))
            yield from cast(list["Row"], batch.take(pa.array(self._at_N[begin:end] - first)).to_pylist())
            first += len(batch)

    def column(self, name: str) -> list[Any]:
        """The values of a column; None for a column that the table lacks."""
        if name not in self._table.column_names:
            return [None] * len(self)
        values: list[Any] = self._table[name].take(pa.array(self._at_N)).to_pylist()
        return values

    def where(self, **wanted: str) -> "Rows":
        """The rows with these values."""
        rows = self
        for name, value in wanted.items():
            rows = rows._those(pc.equal(self._table[name], value))
        return rows

    def among(self, name: str, values: Collection[str]) -> "Rows":
        """The rows whose value of a column is one of these."""
        return self._those(pc.is_in(self._table[name], pa.array(values, pa.string())))

    def without(self, name: str) -> "Rows":
        """The rows that have no value in a column; none, if the table lacks the column."""
        if name not in self._table.column_names:
            return Rows(self._table, self._at_N[:0])
        return self._those(pc.is_null(self._table[name]))

    def by_clip(self) -> "Callable[[str], Row]":
        """The row of a clip.  Errors: KeyError"""
        number_of = {clip: number for number, clip in enumerate(self.column("clip"))}
        return lambda clip: self[number_of[clip]]

    def _those(self, mask: pa.ChunkedArray) -> "Rows":
        return Rows(self._table, self._at_N[pc.fill_null(mask, False).to_numpy()[self._at_N]])


def of_file(path: Path, columns: Sequence[str] | None = None) -> Rows:
    """The rows of a table that was checked when it was written; with `columns` only those are read."""
    with system_allocator(), pq.ParquetFile(path) as file:  # pyarrow.parquet.read_table would import pandas
        return Rows(file.read(None if columns is None else list(columns)))


@contextmanager
def system_allocator() -> Iterator[None]:
    """Arrow's own allocator keeps freed memory: 30 MB more for a table of 144,000 rows."""
    usual = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(usual)
