"""Writing tables: rows in any order, more than fit into memory."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wild import EXAMPLES

from tasks.core.errors import UserError
from tasks.storage import index


def row(number: int) -> dict[str, object]:
    """The row of a clip; every seventh is refused."""
    clip = {"clip": f"main/{number // 20}/{number % 20:05d}", "size": number, "text": f"WORD {number}"}
    if number % 7:
        return clip | {"status": "kept", "reason": "", "shard": f"train-{number % 3}.tar"}
    return clip | {"status": "refused", "reason": "missing", "detail": "in train.txt"}


def test_the_type_of_a_row_has_the_columns_of_both_tables():
    assert set(index.Row.__annotations__) == {*index.CLIPS_SCHEMA.names, *index.INDEX_SCHEMA.names}


@pytest.mark.parametrize(
    ("trained", "tested", "same"),
    [("anna", "ben", False), ("anna", "anna", True), ("", "", False)],
)
def test_reports_say_whether_train_and_test_share_a_person(trained, tested, same):
    """Without persons, as in older tables, the videos count."""
    rows = [
        {"video": "a", "person": trained, "split": "train", "status": "kept"},
        {"video": "b", "person": tested, "split": "test", "status": "kept"},
        {"video": "b", "person": tested, "split": "train", "status": "refused"},
    ]
    assert ("same person in train and test" in index.tested_people(rows)) is same
    assert (index.tested_people(rows) == "unseen speakers") is not same


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


def test_a_row_group_reads_batches_as_long_as_itself(tmp_path, monkeypatch):
    """Each group looks into every batch: batches of a fixed length would make that grow with the square of the rows."""
    monkeypatch.setattr(index, "ROW_GROUP", 4000)
    read = []
    original = index._row_group

    def counted(spilled, rank, start):
        read.append(spilled.num_record_batches)
        return original(spilled, rank, start)

    monkeypatch.setattr(index, "_row_group", counted)
    index.write(tmp_path / "a.parquet", map(row, range(16_000)), index.CLIPS_SCHEMA)
    assert read == [4] * 4


def table_of(**changed):
    """A table of one kept row, with columns replaced by (type, value)."""
    row = {name: "x" if index.INDEX_SCHEMA.field(name).type == pa.string() else 0 for name in index.INDEX_SCHEMA.names}
    row |= {"status": "kept", "found": b"", "closed": b""}
    columns = {name: pa.array([row[name]], index.INDEX_SCHEMA.field(name).type) for name in index.INDEX_SCHEMA.names}
    columns |= {name: pa.array([value], kind) for name, (kind, value) in changed.items()}
    return pa.table({name: column for name, column in columns.items() if column.type != pa.bool_()})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"clip": (pa.string(), None)}, "1 rows have no clip"),
        ({"shard": (pa.string(), None)}, "the kept clip x has no shard"),
        ({"shard": (pa.null(), None)}, "column shard is null, string is expected"),
        ({"offset": (pa.string(), "0")}, "column offset is string, int64 is expected"),
        ({"split": (pa.bool_(), None)}, "column split is missing, string is expected"),
    ],
)
def test_a_table_with_null_or_foreign_columns_is_one_line(tmp_path, changed, message):
    pq.write_table(table_of(), tmp_path / "good.parquet")
    assert index.kept(index.read(tmp_path / "good.parquet"))
    pq.write_table(table_of(**changed), tmp_path / "bad.parquet")
    with pytest.raises(UserError, match=message) as caught:
        index.kept(index.read(tmp_path / "bad.parquet"))
    assert "\n" not in str(caught.value)


def test_a_table_of_0_1_which_has_no_persons_is_read(tmp_path):
    pq.write_table(table_of(person=(pa.bool_(), None), split_by=(pa.bool_(), None)), tmp_path / "old.parquet")
    [old] = index.kept(index.read(tmp_path / "old.parquet"))
    assert old["clip"] == "x" and "person" not in old
    pq.write_table(table_of(person=(pa.string(), None)), tmp_path / "empty.parquet")
    assert index.kept(index.read(tmp_path / "empty.parquet"))


@given(st.integers(0, 10**6), st.binary(max_size=60), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_damage_of_a_table_is_read_or_one_line(tmp_path_factory, at, damage, cut):
    place = tmp_path_factory.getbasetemp() / "any.parquet"
    pq.write_table(table_of(), place)
    content = bytearray(place.read_bytes())
    at %= len(content)
    content[at : at + len(damage)] = damage
    place.write_bytes(content[: at + len(damage)] if cut else content)
    try:
        index.read(place)
    except UserError as error:
        assert "any.parquet" in str(error) and "\n" not in str(error)
