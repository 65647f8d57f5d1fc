import hashlib
import random
import tarfile

import pytest
import webdataset as wds
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import UserError
from tasks.storage import shards

SAMPLES = [(f"main/{k}/00001", {"json": b"{}", "mfcc.npy": bytes([k] * (100 + 600 * k))}) for k in range(4)]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_clips_give_the_same_bytes(tmp_path):
    shards.write(tmp_path / "a.tar", SAMPLES)
    shards.write(tmp_path / "b.tar", [(key, dict(reversed(members.items()))) for key, members in SAMPLES])
    assert digest(tmp_path / "a.tar") == digest(tmp_path / "b.tar")


def test_a_shard_contains_no_date_and_no_user(tmp_path):
    shards.write(tmp_path / "a.tar", SAMPLES)
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in tar} == {(0, 0, 0, "", "")}


def test_each_clip_is_read_back_from_its_position(tmp_path):
    spans = shards.write(tmp_path / "a.tar", SAMPLES)
    for key, members in random.Random(0).sample(SAMPLES, 4):
        assert shards.read(tmp_path / "a.tar", spans[key].offset, spans[key].size) == members


def test_webdataset_itself_reads_the_shard(tmp_path):
    shards.write(tmp_path / "a.tar", SAMPLES)
    read = list(wds.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False))
    assert [s["__key__"] for s in read] == [key for key, _ in SAMPLES]
    assert read[2]["mfcc.npy"] == SAMPLES[2][1]["mfcc.npy"]


@pytest.mark.parametrize("samples", [[], SAMPLES, [("p/" + "1" * 99 + "/00001", {"mp4": bytes(512), "json": b""})]])
def test_the_bytes_are_those_of_webdatasets_own_writer(tmp_path, samples):
    with wds.TarWriter(str(tmp_path / "theirs.tar"), mtime=0, user="", group="") as tar:
        for key, members in samples:
            tar.write({"__key__": key, **members})
    spans = shards.write(tmp_path / "ours.tar", samples)
    assert digest(tmp_path / "ours.tar") == digest(tmp_path / "theirs.tar")
    for key, span in spans.items():
        region = (tmp_path / "ours.tar").read_bytes()[span.offset : span.offset + span.size]
        assert hashlib.sha256(region).hexdigest() == span.sha256, key


def test_a_shard_may_be_empty(tmp_path):
    assert shards.write(tmp_path / "a.tar", []) == {}


@pytest.mark.parametrize(("offset", "size"), [(512, 512), (0, 10**9), (10**8, 512)])
def test_a_shard_that_does_not_match_the_index_is_named(tmp_path, offset, size):
    shards.write(tmp_path / "a.tar", [("main/1/00001", {"bin": bytes(range(1, 256)) * 8})])
    with pytest.raises(UserError, match=r"a\.tar.*dvc"):
        shards.read(tmp_path / "a.tar", offset, size)


def test_a_missing_shard_is_named(tmp_path):
    with pytest.raises(UserError, match="no such shard, but the index names it"):
        shards.read(tmp_path / "none.tar", 0, 512)


@given(videos=st.sets(st.text("0123456789", min_size=1, max_size=19), min_size=2, max_size=60), num=st.integers(1, 20))
def test_adding_a_video_moves_no_other(videos, num):
    before = {video: shards.shard_of(video, num) for video in sorted(videos)[1:]}
    after = {video: shards.shard_of(video, num) for video in videos}
    assert all(after[video] == place for video, place in before.items())
    assert all(0 <= place < num for place in after.values())


def test_a_dot_in_the_last_part_of_a_key_is_refused(tmp_path):
    with pytest.raises(AssertionError, match="a dot in a key"):
        shards.write(tmp_path / "a.tar", [("main/1/00001.x", {"json": b"{}"})])


@pytest.mark.parametrize(
    ("clips", "shards_of_them"), [(0, 1), (48, 1), (300, 1), (700, 2), (1_243, 4), (45_839, 128), (96_318, 256)]
)
def test_auto_makes_about_300_clips_a_shard_and_a_number_stays(clips, shards_of_them):
    assert shards.num_shards("auto", clips) == shards_of_them and shards.num_shards(7, clips) == 7


@given(st.integers(425, 10**7))
def test_auto_changes_only_where_the_clips_double(clips):
    assert 212 <= clips / shards.num_shards("auto", clips) <= 425
    assert shards.num_shards("auto", 2 * clips) == 2 * shards.num_shards("auto", clips)
