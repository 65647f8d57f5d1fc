import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL, ROOT, TINY, params_text, run_acquire
from hypothesis import given
from hypothesis import strategies as st

from tasks.acquire import folder
from tasks.acquire import stage as acquire
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.media import encode
from tasks.storage import index, shards, unit_cache

FOLDER = TINY | {
    "corpus.name": "folder",
    "corpus.folder": "videos",
    "corpus.num_shards": {"train": 12, "val": 2, "test": 2, "hard": 1, "pretrain": 1},
}


@pytest.fixture
def videos(workspace):
    (workspace / "params.yaml").write_text(params_text(FOLDER))
    (workspace / "videos").mkdir()
    return workspace / "videos"


def write_video(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [np.full((64, 64, 3), colour, np.uint8)] * 5
    encode.encode_video(path, frames, np.zeros(5 * 640, np.float32))


def load():
    return config.load(Path("params.yaml"))


def table():
    return {row["source"]: row for row in index.read(paths.CLIPS)}


def test_every_file_has_a_row_kept_or_refused(videos):
    write_video(videos / "a.mp4", 10)
    write_video(videos / "talks/monday one.mp4", 20)
    (videos / "a.txt").write_text("Text:  HELLO there\nConf:  5\n")
    (videos / "notes.pdf").write_bytes(b"%PDF")
    (videos / "empty.mov").write_bytes(b"")
    (videos / "copy.mp4").write_bytes((videos / "a.mp4").read_bytes())
    write_video(videos / "talks.mp4", 30)
    (videos / "talks.mkv").write_bytes(b"something else")
    (videos / ".DS_Store").write_bytes(b"x")
    (videos / "alone.txt").write_text("a transcript without a video")
    run_acquire(load())
    rows = table()
    assert {name: row["reason"] for name, row in rows.items()} == {
        "a.mp4": "",
        "talks/monday one.mp4": "",
        "notes.pdf": "not_a_video",
        "empty.mov": "empty_file",
        "copy.mp4": "duplicate",
        "talks.mkv": "",
        "talks.mp4": "duplicate",
        "alone.txt": "not_a_video",
        ".DS_Store": "hidden",
    }
    assert rows["a.mp4"]["text"] == "HELLO THERE"
    assert rows["copy.mp4"]["detail"] == "same bytes as a.mp4"
    assert len({row["clip"] for row in rows.values()}) == len(rows)


def test_the_bytes_in_the_raw_shard_are_the_bytes_of_the_file(videos):
    write_video(videos / "a.mp4", 10)
    run_acquire(load())
    row = table()["a.mp4"]
    members = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])
    assert members["mp4"] == (videos / "a.mp4").read_bytes()
    assert hashlib.sha256(members["mp4"]).hexdigest() == row["source_sha256"]
    assert json.loads(members["json"])["clip"] == "folder/a/00000"


def test_adding_a_video_rebuilds_one_shard(videos):
    for k in range(40):
        write_video(videos / f"v{k}.mp4", 5 * k)
    run_acquire(load())
    write_video(videos / "new.mp4", 222)
    planned, _ = acquire.plan(load())
    assert [unit.done for unit in planned].count(False) == 1
    assert len(planned) >= 14


def test_a_file_that_changes_while_it_is_read_stops_the_stage(videos):
    write_video(videos / "a.mp4", 10)
    planned, _ = acquire.plan(load())
    write_video(videos / "a.mp4", 200)
    with pytest.raises(UserError, match=r"a\.mp4 changed while it was read"):
        unit_cache.make(acquire.build, planned[0])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no file; put videos there"),
        ({"x.pdf": b"1"}, "no clip can be used: not_a_video 1"),
        ({"x.mp4": b"", "y.txt": b"1"}, "no clip can be used: empty_file 1, not_a_video 1"),
    ],
)
def test_a_folder_without_usable_videos_is_an_error(videos, files, message):
    for name, content in files.items():
        (videos / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        acquire.plan(load())


def test_a_wrong_path_is_an_error_at_once(workspace):
    (workspace / "params.yaml").write_text(params_text(FOLDER | {"corpus.folder": "nowhere"}))
    with pytest.raises(UserError, match=r"corpus\.folder: nowhere: no such folder"):
        acquire.plan(load())


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_two_names_share_an_id_only_if_they_differ_in_the_ending(one, two):
    ids = folder.video_id(f"{one}.mp4"), folder.video_id(f"{two}.mp4")
    if one != two and "/" not in one + two:
        assert ids[0] != ids[1]
    assert all(id and not set(id) & set("./ \0") for id in ids)


def test_splits_follow_from_the_ids_and_have_the_wanted_shares():
    corpus = config.load(ROOT / "params.yaml").corpus
    drawn = [folder.split_of(f"video{k}", corpus) for k in range(3000)]
    assert drawn == [folder.split_of(f"video{k}", corpus) for k in range(3000)]
    assert 0.08 < drawn.count("val") / 3000 < 0.12 and 0.08 < drawn.count("test") / 3000 < 0.12


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips in ../shared/real are not here")
def test_the_real_clips_are_acquired(videos, workspace):
    (workspace / "params.yaml").write_text(params_text(FOLDER | {"corpus.folder": str(REAL)}))
    run_acquire(load())
    kept = [row for row in table().values() if row["status"] == "kept"]
    assert sorted(row["source"] for row in kept) == sorted(f.name for f in REAL.glob("*.mpg"))
