"""Tables as columns: what is chosen and read of them, and what of it is in memory."""

import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wild import EXAMPLES

from tasks.core import paths
from tasks.storage import index, table_rows
from tasks.storage.table_rows import Rows

SPLITS = ("train", "test", None)


def row(number):
    split = SPLITS[number % 3]
    return {"clip": f"c{number:05d}", "split": split, "size": number, "status": "kept" if number % 4 else "refused"}


SCHEMA = pa.schema([("clip", pa.string()), ("split", pa.string()), ("size", pa.int64()), ("status", pa.string())])


def of(num):
    """In batches of a row, as a table read from a file has several."""
    batches = [pa.RecordBatch.from_pylist([row(number)], SCHEMA) for number in range(num)]
    return Rows(pa.Table.from_batches(batches, SCHEMA))


@given(st.integers(0, 40), st.lists(st.sampled_from(["split", "status", "among", "without", "slice"]), max_size=4))
@settings(max_examples=EXAMPLES, deadline=None)
def test_choices_in_any_order_are_those_of_a_list(num, steps):
    rows, wanted = of(num), [row(number) for number in range(num)]
    for step in steps:
        if step == "split":
            rows, wanted = rows.where(split="train"), [each for each in wanted if each["split"] == "train"]
        elif step == "status":
            rows, wanted = rows.where(status="kept"), [each for each in wanted if each["status"] == "kept"]
        elif step == "among":
            few = [f"c{number:05d}" for number in range(3, 30, 2)]
            rows, wanted = rows.among("clip", few), [each for each in wanted if each["clip"] in few]
        elif step == "without":
            rows, wanted = rows.without("split"), [each for each in wanted if each["split"] is None]
        else:
            rows, wanted = rows[1:-1], wanted[1:-1]
    assert list(rows) == wanted and len(rows) == len(wanted)
    assert [rows[at] for at in range(-len(wanted), len(wanted))] == wanted * 2
    assert rows.column("size") == [each["size"] for each in wanted]
    assert rows.column("nothing") == [None] * len(wanted) and len(rows.without("nothing")) == 0
    with pytest.raises(IndexError):
        rows[len(wanted)]
    by_clip = rows.by_clip()
    assert all(by_clip(each["clip"]) == each for each in wanted)


def long_table(path, num):
    words = [{"word": "WORD", "start_s": float(k), "end_s": float(k)} for k in range(20)]
    rows = [
        {
            "clip": f"main/{number // 12}/{number:05d}", "video": f"{number // 12}", "person": "", "split": "train",
            "text": f"TWENTY WORDS {number}", "words": words, "status": "kept", "reason": "", "shard": "train-0.tar",
            "offset": number, "size": 1, "member_sha256": f"{number:064d}", "source_sha256": f"{number:064d}",
            "licence": "L", "corpus": "lrs2", "source": "LRS2", "split_by": "corpus", "detail": "",
        }
        for number in range(num)
    ]  # fmt: skip
    index.write(path, rows, index.CLIPS_SCHEMA)


def python_bytes(work):
    """The most memory of Python's objects during `work`, beyond what was there before; Arrow's columns do not count."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_choosing_and_passing_through_a_table_keeps_a_thousand_rows_as_dicts(workspace):
    long_table(paths.CLIPS, 4000)
    everything = python_bytes(lambda: index.read(paths.CLIPS))

    def pass_through():
        for _ in index.kept(index.rows(paths.CLIPS), "train"):
            pass

    assert python_bytes(pass_through) < 0.4 * everything
    rows = index.rows(paths.CLIPS)
    before = pa.total_allocated_bytes()
    chosen = index.kept(rows, "train").among("video", ["7", "8"])
    assert pa.total_allocated_bytes() - before < 10_000 and len(chosen) == 24


def test_a_plan_keeps_less_than_a_kilobyte_of_a_clip_whatever_its_words(workspace):
    """144,000 clips with their words would be more than two gigabytes."""
    from tasks.core import config
    from tasks.preprocess import stage

    p = config.load(paths.PARAMS)
    taken = []
    for num in (1000, 3000):
        long_table(paths.CLIPS, num)
        taken.append(python_bytes(lambda: stage.plan(p)))
    assert (taken[1] - taken[0]) / 2000 < 1000


def test_only_the_columns_that_are_asked_for_are_read(tmp_path):
    long_table(tmp_path / "clips.parquet", 10)
    rows = index.rows(tmp_path / "clips.parquet", ["video", "no such column"])
    assert {*rows[0]} == {"clip", "status", "video"}
    assert {*table_rows.of_file(tmp_path / "clips.parquet", ["video"])[0]} == {"video"}


def test_the_stages_do_not_read_a_whole_table_as_dicts():
    """`index.read` is for short tables: of tests and of benchmarks."""
    root = Path(__file__).parents[2]
    files = [file for room in ("tasks", "flows") for file in (root / room).rglob("*.py")]
    assert [str(file) for file in files if "index.read(" in file.read_text()] == []
