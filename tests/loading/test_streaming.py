"""Streamed batches: webdataset's pipeline over real shards, in a folder and in a bucket."""

import hashlib
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import s3_server
import torch
from conftest import TINY, params_text
from test_batches import same, take

from tasks.core import config, json_files, paths
from tasks.core.errors import Stopped, UserError
from tasks.loading import streaming
from tasks.loading.clips import Clips
from tasks.loading.streaming import Group, Stream, Streamed
from tasks.storage import object_store
from tasks.train import stage as train
from tasks.train.loop import Trainer
from tasks.train.state import training_key


@pytest.fixture
def p(tiny, monkeypatch):
    monkeypatch.setenv("LIPGAN_DATA", "stream")
    return config.load(Path("params.yaml"))


@pytest.fixture
def clips(tiny):
    return Clips(paths.INDEX, paths.SHARDS, "train")


def equal(one, two):
    return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))


def test_the_same_seed_gives_the_same_batches_also_from_the_middle_of_an_epoch(clips, p):
    whole = take(Streamed(clips, p.train, 7, 0), 14)  # more than two epochs
    assert equal(whole, take(Streamed(clips, p.train, 7, 0), 14))
    assert equal(whole[5:], take(Streamed(clips, p.train, 7, 5), 9))
    assert not equal(whole, take(Streamed(clips, p.train, 8, 0), 14)) and not same(whole[0], whole[-1])


def test_an_epoch_reads_every_clip_once_and_decodes_what_the_mapped_loader_decodes(clips, p):
    stream = Stream(clips, p.train, 7, 0, 1)
    samples = list(stream._samples(0, 0))
    assert sorted(sample["__key__"] for sample in samples) == sorted(clips.keys)
    assert [s["__key__"] for s in samples] != [s["__key__"] for s in stream._samples(1, 0)]
    group = Group(samples, [stream._row_of(sample) for sample in samples])
    for number, key in enumerate(group.keys):
        mapped = clips[clips.keys.index(key)]
        assert np.array_equal(group[number].faces_TSS3, mapped.faces_TSS3)
        assert np.array_equal(group[number].mel_CM, mapped.mel_CM)


def test_ranks_read_different_shards_and_have_their_part_of_the_batch(clips, p, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    keys = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        stream = Stream(clips, p.train, 7, 0, 2)
        keys.append({sample["__key__"] for sample in stream._samples(0, 0)})
        assert len(next(iter(stream)).target_BSS3) == p.train.batch_size // 2
    assert not keys[0] & keys[1] and keys[0] | keys[1] == set(clips.keys)
    assert all(keys)


def test_loader_processes_divide_the_shards_and_resume(clips, p, monkeypatch):
    monkeypatch.setenv("LIPGAN_STREAM_LOADERS", "2")
    assert streaming.facts() == {"order": "streamed by 1 x 2"}
    taken = take(Streamed(clips, p.train, 7, 3), 5)  # by real processes, from the middle of an epoch
    monkeypatch.setenv("NUM_WORKERS", "2")
    of_loader = []
    for loader in ("0", "1"):
        monkeypatch.setenv("WORKER", loader)
        of_loader.append(list(islice(Stream(clips, p.train, 7, 0, 1), 4)))
    assert equal(taken, [of_loader[step % 2][step // 2] for step in range(3, 8)])


def damage(path, at, content):
    path.chmod(0o644)
    with path.open("r+b") as file:
        if content:
            file.seek(at)
            file.write(content)
        else:
            file.truncate(at)


@pytest.mark.parametrize(
    ("content", "share", "message"),
    [(b"other", 0.5, "other bytes of main/.* than in the index"), (b"", 0.7, "a shard is damaged|of [0-9]+ clips")],
)
def test_a_damaged_shard_is_one_line(clips, p, content, share, message):
    shard = min(paths.SHARDS.glob("train-*.tar"))
    damage(shard, int(shard.stat().st_size * share), content)
    with pytest.raises(UserError, match=message) as caught:
        take(Streamed(clips, p.train, 7, 0), 6)
    assert "\n" not in str(caught.value)


def test_missing_shards_and_too_many_readers_are_one_line(clips, p, monkeypatch):
    streaming.demand(clips)
    monkeypatch.setenv("LIPGAN_STREAM_LOADERS", "3")
    with pytest.raises(UserError, match="2 shards cannot be split among 3 readers"):
        streaming.demand(clips)
    monkeypatch.delenv("LIPGAN_STREAM_LOADERS")
    min(paths.SHARDS.glob("train-*.tar")).unlink()
    with pytest.raises(UserError, match=r"data/shards: 1 of 2 shards are missing, train-000000-of-000002\.tar first"):
        streaming.demand(clips)


def test_shards_of_a_bucket_give_the_batches_of_the_folder(clips, p, tmp_path, monkeypatch):
    s3_server.needed()
    here = take(Streamed(clips, p.train, 7, 2), 6)
    url = f"s3://{s3_server.BUCKET}/shards"
    with s3_server.serving(tmp_path) as aws:
        code = f"import s3fs; s3fs.S3FileSystem().put({str(paths.SHARDS)!r}, {url!r}, recursive=True)"
        subprocess.run([sys.executable, "-c", code], env=os.environ | aws, check=True, timeout=120)
        for name, value in (aws | {"LIPGAN_SHARDS": url}).items():
            monkeypatch.setenv(name, value)
        object_store._connected.cache_clear()  # of another test, to a server that is gone
        for shard in paths.SHARDS.glob("train-*.tar"):
            shard.unlink()
        streaming.demand(clips)
        assert equal(here, take(Streamed(clips, p.train, 7, 2), 6))
        monkeypatch.setenv("LIPGAN_SHARDS", f"{url}/nowhere")
        with pytest.raises(UserError, match=r"nowhere: 2 of 2 shards are missing.*; copy data/shards there"):
            streaming.demand(clips)
    object_store._connected.cache_clear()


def test_a_streamed_training_that_is_stopped_ends_with_the_same_bytes_and_is_another_than_a_mapped_one(
    tiny, monkeypatch
):
    Path("params.yaml").write_text(
        params_text(TINY | {"train.num_steps": 3, "train.val_every": 3, "train.val_samples": 4})
    )
    p = config.load(Path("params.yaml"))
    mapped = training_key(p)
    monkeypatch.setenv("LIPGAN_DATA", "stream")
    assert training_key(p) != mapped
    torch.set_num_threads(1)
    take_next = Trainer._next

    def stopped_at_step_1(self, batches):
        if self.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_next(self, batches)

    monkeypatch.setattr(Trainer, "_next", stopped_at_step_1)
    with pytest.raises(Stopped):
        train.run(p)
    monkeypatch.setattr(Trainer, "_next", take_next)
    train.run(p)
    resumed = hashlib.sha256(paths.GENERATOR.read_bytes()).hexdigest()
    assert json_files.read(paths.GENERATOR.with_suffix(".json"))["loader"]["order"] == "streamed by 1 x 1"
    monkeypatch.setenv("LIPGAN_CACHE", str(tiny / "elsewhere"))
    train.run(p)
    assert hashlib.sha256(paths.GENERATOR.read_bytes()).hexdigest() == resumed
