import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL, TINY, params_text, run_acquire
from heic import heic
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
        "talks.mp4": "",
        "alone.txt": "not_a_video",
        ".DS_Store": "hidden",
    }
    assert rows["a.mp4"]["text"] == "HELLO THERE"
    assert rows["copy.mp4"]["detail"] == "same bytes as a.mp4"
    assert len({row["clip"] for row in rows.values()}) == len(rows)


def test_a_live_photograph_is_a_video_and_a_picture_that_is_refused(videos):
    for name, colour in (("IMG_1.MOV", 10), ("b.mp4", 20), ("c.mp4", 30)):
        write_video(videos / name, colour)
    (videos / "IMG_1.HEIC").write_bytes(heic([np.full((64, 64, 3), 90, np.uint8)]))
    run_acquire(load())
    rows = table()
    assert (rows["IMG_1.MOV"]["reason"], rows["IMG_1.HEIC"]["reason"]) == ("", "not_a_video")
    assert rows["IMG_1.MOV"]["clip"] != rows["IMG_1.HEIC"]["clip"]


def test_the_bytes_in_the_raw_shard_are_the_bytes_of_the_file(videos):
    write_people(videos, "abc")
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
    write_people(videos, "abc")
    planned, _ = acquire.plan(load())
    write_people(videos, "cab")
    with pytest.raises(UserError, match=r"[abc]\.mp4 changed while it was read"):
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


def test_the_first_folder_names_the_person_unless_each_video_does():
    assert folder.person_of("anna/day 1/a.mp4", "folder") == folder.person_of("anna/b.mov", "folder") == "anna"
    assert folder.person_of("a.mp4", "folder") == folder.person_of("a.mp4", "video") == "a"
    assert folder.person_of("anna/a.mp4", "video") == "anna-a"


def write_people(videos, names):
    for number, name in enumerate(names):
        write_video(videos / f"{name}.mp4", 7 * number + 3)


def parts(rows):
    """Person -> splits."""
    return {row["person"]: {r["split"] for r in rows if r["person"] == row["person"]} for row in rows}


def test_seven_videos_fill_all_splits(videos, capsys):
    write_people(videos, "abcdefg")
    run_acquire(load())
    assert {row["split"] for row in table().values()} == {"train", "val", "test"}
    assert "acquire: split by person, by the hash of its name: train 5 clips of 5 persons; val 1 clips of person " in (
        capsys.readouterr().err
    )


def test_no_split_shares_a_person(videos):
    write_people(videos, [f"{person}/{k}" for person in ("anna", "ben", "carl", "dora") for k in range(4)])
    run_acquire(load())
    rows = list(table().values())
    assert all(len(splits) == 1 for splits in parts(rows).values())
    assert {row["person"] for row in rows} == {"anna", "ben", "carl", "dora"}
    assert {row["split"] for row in rows} == {"train", "val", "test"}


def test_of_two_persons_one_is_only_tested_and_the_line_says_what_they_share(videos, capsys):
    write_people(videos, [f"{person}/{k}" for person in ("anna", "ben") for k in range(4)])
    run_acquire(load())
    of = parts(table().values())
    assert sorted(map(sorted, of.values())) == [["test"], ["train", "val"]]
    said = capsys.readouterr().err
    assert "2 persons for 3 splits; same person in train and val" in said and "split by person, video" in said


def test_one_persons_videos_are_divided_and_the_line_says_so(videos, capsys):
    write_people(videos, [f"anna/{k}" for k in range(6)])
    run_acquire(load())
    rows = list(table().values())
    assert {row["split"] for row in rows} == {"train", "val", "test"} and {row["split_by"] for row in rows} == {"video"}
    assert "1 person for 3 splits; same person in train and val and test" in capsys.readouterr().err


def test_a_persons_folder_without_a_video_is_named(videos, capsys):
    write_people(videos, ["anna/1", "ben/1", "carl/1"])
    (videos / "dora").mkdir()
    (videos / "emil").mkdir()
    (videos / "emil/notes.pdf").write_bytes(b"%PDF")
    run_acquire(load())
    said = capsys.readouterr().err
    assert all(f"videos/{name}: no video of this person can be used" in said for name in ("dora", "emil"))
    assert "videos/anna:" not in said


def test_a_single_short_video_is_one_line(videos):
    write_video(videos / "a.mp4", 10)
    with pytest.raises(UserError, match=r"a\.mp4: the only clip for test, val, train; .* from 12 s on; add videos"):
        acquire.plan(load())


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips in ../shared/real are not here")
def test_the_real_clips_are_acquired(videos, workspace):
    (workspace / "params.yaml").write_text(params_text(FOLDER | {"corpus.folder": str(REAL)}))
    run_acquire(load())
    kept = [row for row in table().values() if row["status"] == "kept"]
    assert sorted(row["source"] for row in kept) == sorted(f.name for f in REAL.glob("*.mpg"))
