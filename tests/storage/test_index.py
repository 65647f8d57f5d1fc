"""Writing tables: rows in any order, more than fit into memory."""

import random

import pyarrow.parquet as pq
import pytest

from tasks.storage import index


def row(number: int) -> dict[str, object]:
    """The row of a clip; every seventh is refused."""
    clip = {"clip": f"main/{number // 20}/{number % 20:05d}", "size": number, "text": f"WORD {number}"}
    if number % 7:
        return clip | {"status": "kept", "reason": "", "shard": f"train-{number % 3}.tar"}
    return clip | {"status": "refused", "reason": "missing", "detail": "in train.txt"}


def test_the_type_of_a_row_has_the_columns_of_both_tables():
    assert set(index.Row.__annotations__) == {*index.CLIPS_SCHEMA.names, *index.INDEX_SCHEMA.names}


@pytest.mark.parametrize("num_rows", [0, 1, 1000, 2048, 2049, 5000])
def test_a_table_larger_than_its_buffers_holds_every_row_sorted_by_clip(tmp_path, monkeypatch, num_rows):
    monkeypatch.setattr(index, "ROW_GROUP", 1024)
    rows = [row(number) for number in range(num_rows)]
    shuffled = random.Random(0).sample(rows, num_rows)
    index.write(tmp_path / "a.parquet", iter(shuffled), index.CLIPS_SCHEMA)
    blank = dict.fromkeys(index.CLIPS_SCHEMA.names)
    assert index.read(tmp_path / "a.parquet") == [blank | each for each in sorted(rows, key=lambda row: row["clip"])]
    groups = pq.read_metadata(tmp_path / "a.parquet")
    sizes = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    assert sizes == [min(1024, num_rows - start) for start in range(0, max(1, num_rows), 1024)]
    index.write(tmp_path / "b.parquet", rows, index.CLIPS_SCHEMA)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]
