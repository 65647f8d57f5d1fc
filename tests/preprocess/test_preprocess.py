import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL, TINY, params_text, run_acquire, run_preprocess

from tasks.acquire import stage as acquire
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.media import decode, encode
from tasks.preprocess import stage as preprocess
from tasks.storage import index, shards, unit_cache

FOLDER = {
    "corpus.name": "folder",
    "corpus.folder": "videos",
    "corpus.num_shards": {"train": 2, "val": 1, "test": 1, "hard": 1, "pretrain": 1},
}


def load(changes=None):
    if changes is not None:
        Path("params.yaml").write_text(params_text(TINY | changes))
    return config.load(Path("params.yaml"))


def hashes():
    files = [*sorted(paths.SHARDS.iterdir()), paths.INDEX, paths.PREPROCESS_REPORT]
    return {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def raw_clips():
    """The mp4s of the tiny corpus: (clip, bytes)."""
    for row in index.read(paths.CLIPS):
        yield row["clip"], shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"]


def test_every_acquired_clip_has_a_row_kept_or_refused(tiny):
    came_in = {row["clip"] for row in index.read(paths.CLIPS)}
    rows = index.read(paths.INDEX)
    assert {row["clip"] for row in rows} == came_in and len(rows) == len(came_in)
    refused = [row for row in rows if row["status"] == "refused"]
    assert [(row["reason"], row["split"]) for row in refused] == [("no_face", "hard")]
    assert refused[0]["detail"].startswith("0 of ")


def test_the_index_leads_to_every_kept_clip_and_its_hash(tiny):
    for row in index.kept(index.read(paths.INDEX)):
        with (paths.SHARDS / row["shard"]).open("rb") as file:
            file.seek(row["offset"])
            assert hashlib.sha256(file.read(row["size"])).hexdigest() == row["member_sha256"]
        clip = shards.decode(shards.read(paths.SHARDS / row["shard"], row["offset"], row["size"]))
        num_frames = row["num_frames"]
        assert clip.faces_TSS3.shape == (num_frames, 96, 96, 3)
        assert clip.mfcc_FW.shape == (12, 4 * num_frames)
        assert clip.landmarks_T682.shape == (num_frames, 68, 2)
        assert len(clip.truth["aperture"]) == num_frames
        assert row["found_share"] >= 0.99 and row["duration_s"] == pytest.approx(num_frames / 25)


def test_a_rebuild_gives_the_same_bytes(tiny, monkeypatch):
    before = hashes()
    monkeypatch.setenv("LIPGAN_CACHE", str(tiny / "elsewhere"))
    run_acquire(load())
    run_preprocess(load())
    assert hashes() == before


def test_finished_units_are_not_built_again(tiny):
    planned, _ = preprocess.plan(load())
    assert all(unit.done for unit in planned)


@pytest.mark.parametrize("change", [{"faces.smooth_frames": 5}, {"faces.jpeg_quality": 90}, {"faces.storage": "raw"}])
def test_a_parameter_that_changes_shards_rebuilds_all_of_them(tiny, change):
    planned, _ = preprocess.plan(load(change))
    assert not any(unit.done for unit in planned)


def test_a_parameter_that_changes_no_shard_rebuilds_none(tiny):
    planned, _ = preprocess.plan(load({"train.lr": 0.5}))
    assert all(unit.done for unit in planned)


def test_raw_faces_are_those_that_the_jpegs_encode(tiny):
    jpegs = {row["clip"]: read(row) for row in index.kept(index.read(paths.INDEX))}
    run_preprocess(load({"faces.storage": "raw"}))
    for row in index.kept(index.read(paths.INDEX)):
        raw, jpeg = read(row), jpegs.pop(row["clip"])
        assert np.array_equal(raw.mesh_T4683, jpeg.mesh_T4683, equal_nan=True) and np.array_equal(
            raw.boxes_T4, jpeg.boxes_T4
        )
        assert 0 < np.abs(raw.faces_TSS3.astype(int) - jpeg.faces_TSS3).mean() < 3
    assert not jpegs


def test_without_faces_mesh_clips_are_kept_with_lips_from_key_frames_and_no_offset(tiny):
    dense = {row["clip"]: read(row) for row in index.kept(index.read(paths.INDEX))}
    run_preprocess(load({"faces.mesh": False}))
    for row in index.kept(index.read(paths.INDEX)):
        clip = read(row)
        assert 0 < row["mesh_share"] < 0.15 and row["mesh_share"] == pytest.approx(clip.held_T.mean())
        assert row["av_confidence"] == row["av_moved"] == 0
        apart = np.abs(clip.landmarks_T682 - dense.pop(row["clip"]).landmarks_T682)[:, 48:].mean()
        assert apart < 3, row["clip"]  # px of 96
    assert not dense


def read(row):
    return shards.decode(shards.read(paths.SHARDS / row["shard"], row["offset"], row["size"]))


@pytest.fixture
def damaged(tiny):
    """A folder corpus of the tiny clips, some of them damaged in different ways."""
    videos = tiny / "videos"
    videos.mkdir()
    kept = {row["clip"] for row in index.kept(index.read(paths.INDEX))}
    clips = [content for clip, content in raw_clips() if clip in kept]
    for k, content in enumerate(clips[:4]):
        (videos / f"good{k}.mp4").write_bytes(content)
    (videos / "truncated.mp4").write_bytes(clips[0][: len(clips[0]) // 2])
    (videos / "text.mp4").write_bytes(b"this is no video\n" * 50)
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "notes.txt").write_text("a transcript without a video")
    frames = list(decode.frames(_as_file(clips[0], tiny)))
    encode.encode_video(videos / "soundless.mp4", frames, None)
    encode.encode_video(videos / "short.mp4", frames[:8], np.zeros(8 * 640, np.float32))
    encode.encode_video(videos / "faceless.mp4", [frame[:40, :40] for frame in frames], np.zeros(9999, np.float32))
    return videos


def _as_file(content, folder):
    (folder / "clip.mp4").write_bytes(content)
    return folder / "clip.mp4"


def test_a_damaged_file_has_a_row_with_its_reason_and_the_run_continues(damaged):
    p = load(FOLDER | {"corpus.val_share": 0.3, "corpus.test_share": 0.3})
    run_acquire(p)
    with pytest.raises(UserError, match="no clip in split"):  # four good files may not cover all splits
        run_preprocess(p)
        raise UserError("no clip in split: they did reach all")
    reasons = {row["source"]: row["reason"] for row in index.read(paths.INDEX)}
    assert reasons.pop("truncated.mp4") in ("truncated", "unreadable")
    assert reasons == {
        **{f"good{k}.mp4": "" for k in range(4)},
        "text.mp4": "unreadable",
        "empty.mp4": "empty_file",
        "notes.txt": "not_a_video",
        "soundless.mp4": "no_sound",
        "short.mp4": "too_short",
        "faceless.mp4": "no_face",
    }


def test_all_clips_refused_is_an_error(damaged):
    for good in damaged.glob("good*"):
        good.unlink()
    p = load(FOLDER)
    run_acquire(p)
    with pytest.raises(UserError, match=r"all \d clips refused \(empty_file 1, no_face 1,.*no_sound 1"):
        run_preprocess(p)


def test_an_empty_split_is_an_error(tiny):
    rows = [row for row in index.read(paths.CLIPS) if row["split"] != "test"]
    index.write(paths.CLIPS, rows, index.CLIPS_SCHEMA)
    with pytest.raises(UserError, match=r"no clip in split test, 5 in others"):
        run_preprocess(load())


def test_a_full_disk_leaves_no_partial_file(tiny, monkeypatch):
    p = load({"faces.jpeg_quality": 80})
    planned, _ = preprocess.plan(p)

    def full(path, samples):
        Path(path).write_bytes(b"half of a shard")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "write", full)
    with pytest.raises(OSError, match="No space left"):
        unit_cache.make(preprocess.build, planned[0])
    assert not planned[0].done
    assert not [f for f in planned[0].folder.parent.rglob("*") if f.is_file()]


def test_a_missing_mesh_model_is_an_error_with_advice_before_any_work(tiny, monkeypatch):
    monkeypatch.setenv("LIPGAN_MODELS", str(tiny / "none"))
    with pytest.raises(UserError, match=r"run `python -m tasks\.features\.mesh_model`"):
        preprocess.plan(load())


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips in ../shared/real are not here")
def test_the_real_clips_become_training_data(tiny):
    p = load(FOLDER | {"corpus.folder": str(REAL), "corpus.val_share": 0.0, "corpus.test_share": 0.0})
    acquire.plan(p)
    run_acquire(p)
    with pytest.raises(UserError, match="no clip in split val"):  # four clips, all for training here
        run_preprocess(p)
    rows = index.kept(index.read(paths.INDEX))
    assert len(rows) == 4 and all(row["num_frames"] == 75 and row["found_share"] >= 0.95 for row in rows)
    report = json.loads(paths.PREPROCESS_REPORT.read_text())
    assert report["kept_by_split"]["train"] == 4
