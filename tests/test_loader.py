from pathlib import Path

import numpy as np
import pytest
import torch

from model import timing
from tasks import config, index, loader, paths
from tasks.loader import Batches, Clips
from tasks.stage import UserError


@pytest.fixture
def p(tiny):
    return config.load(Path("params.yaml"))


@pytest.fixture
def clips(tiny):
    return Clips(paths.INDEX, paths.SHARDS, "train")


def take(batches, num):
    taken = [next(batches) for _ in range(num)]
    batches.close()
    return taken


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_batches_from_the_middle_are_the_batches_of_an_undisturbed_run(clips, p):
    whole = take(Batches(clips, p.train, 7, 0), 14)  # more than two epochs
    rest = take(Batches(clips, p.train, 7, 5), 9)
    assert all(same(a, b) for a, b in zip(whole[5:], rest, strict=True))


def test_batches_do_not_depend_on_what_memory_holds(clips, p, monkeypatch):
    whole = take(Batches(clips, p.train, 7, 0), 4)
    monkeypatch.setenv("LIPGAN_CLIP_MEMORY_MB", "0")
    poor = Clips(paths.INDEX, paths.SHARDS, "train")
    assert all(same(a, b) for a, b in zip(whole, take(Batches(poor, p.train, 7, 0), 4), strict=True))
    assert len(poor._held) == 1


def test_a_sample_is_the_frame_and_the_sound_that_the_clip_has_there(clips, p):
    draws = clips.draw(p.train, seed=3, epoch=0, per_clip=4, flip=True)
    batch = loader.batch_of(clips, draws)
    for k in range(len(draws)):
        clip, t = clips[int(draws.clip_N[k])], int(draws.target_N[k])
        face = clip.faces_TSS3[t][:, ::-1] if draws.flip_N[k] else clip.faces_TSS3[t]
        columns = timing.window_columns(np.array([t]), clip.mfcc_FW.shape[1])[0]
        assert (batch.target_BSS3[k].numpy() == face).all()
        assert (batch.mfcc_BFW[k].numpy() == clip.mfcc_FW[:, columns]).all()
        left, top, right, bottom = batch.mouth_B4[k].tolist()
        assert 0 <= left < right <= 96 and 40 < top < bottom <= 96


def test_a_mirrored_sample_mirrors_its_lip_box(clips, p):
    draws = clips.draw(p.train, seed=3, epoch=0, per_clip=2, flip=False)
    plain = loader.batch_of(clips, draws)
    draws.flip_N[:] = True
    mirrored = loader.batch_of(clips, draws)
    assert torch.equal(mirrored.mouth_B4[:, [0, 2]], 96 - plain.mouth_B4[:, [2, 0]])
    assert torch.equal(mirrored.mouth_B4[:, [1, 3]], plain.mouth_B4[:, [1, 3]])


def test_validation_samples_are_the_same_at_every_call(clips, p):
    one, two = (loader.fixed_batches(clips, p.train, 10, 0) for _ in range(2))
    assert [len(batch.target_BSS3) for batch in one] == [4, 4]  # whole batches
    assert all(same(a, b) for a, b in zip(one, two, strict=True))


def test_the_index_tells_in_which_frames_the_face_was_found(clips):
    for number, found in enumerate(clips.found()):
        assert (found == clips[number].found_T).all()


def test_an_empty_split_is_an_error_at_once(tiny):
    rows = [row for row in index.read(paths.INDEX) if row["split"] != "val"]
    index.write(paths.INDEX, rows, index.INDEX_SCHEMA)
    with pytest.raises(UserError, match="no clip in split val"):
        Clips(paths.INDEX, paths.SHARDS, "val")


def test_shards_that_do_not_fit_the_index_are_an_error_and_no_hang(tiny, p):
    for shard in paths.SHARDS.glob("train-*.tar"):
        shard.unlink()
    batches = Batches(Clips(paths.INDEX, paths.SHARDS, "train"), p.train, 0, 0)
    with pytest.raises(UserError, match="no such shard, but the index names it"):
        next(batches)
