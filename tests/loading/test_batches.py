import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from model import augment, timing
from model.sampling import Draws
from tasks.core import config, memory, paths
from tasks.core.errors import UserError
from tasks.loading import batches as loader
from tasks.loading import resident
from tasks.loading.batches import Batches
from tasks.loading.clips import Clips
from tasks.loading.resident import Resident
from tasks.storage import face_codec, index, shards


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


def test_the_index_has_the_frames_in_which_the_face_was_found(clips):
    for number, found in enumerate(clips.found()):
        assert (found == clips[number].found_T).all()


def test_an_empty_split_is_an_error_at_once(tiny):
    rows = [row for row in index.read(paths.INDEX) if row["split"] != "val"]
    index.write(paths.INDEX, rows, index.INDEX_SCHEMA)
    with pytest.raises(UserError, match="no clip in split val"):
        Clips(paths.INDEX, paths.SHARDS, "val")


def test_missing_shards_are_an_error_and_do_not_hang(tiny, p):
    for shard in paths.SHARDS.glob("train-*.tar"):
        shard.unlink()
    batches = Batches(Clips(paths.INDEX, paths.SHARDS, "train"), p.train, 0, 0)
    with pytest.raises(UserError, match="no such shard, but the index names it"):
        next(batches)


def test_a_wrong_shard_is_found_at_the_start(tiny):
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    clips.check()
    last = max(clips.rows, key=lambda row: (row["shard"], row["offset"]))
    shard = paths.SHARDS / last["shard"]
    whole = shard.read_bytes()
    shard.write_bytes(whole[: last["offset"] + last["size"] - 1])
    with pytest.raises(UserError, match=r"ends before byte .* run `dvc checkout`"):
        Clips(paths.INDEX, paths.SHARDS, "train").check()
    first = min(clips.rows, key=lambda row: (row["shard"] != last["shard"], row["offset"]))
    middle = first["offset"] + first["size"] // 2
    shard.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(UserError, match=r"other bytes at .* than in the index"):
        Clips(paths.INDEX, paths.SHARDS, "train").check()


def test_sound_features_that_are_not_finite_name_their_clip(tiny):
    rows = index.read(paths.INDEX)
    row = index.kept(rows, "train")[0]
    raw = shards.read(paths.SHARDS / row["shard"], row["offset"], row["size"])
    mfcc_FW = np.load(io.BytesIO(raw["mfcc.npy"]))
    mfcc_FW[3, 7] = np.nan
    npy = io.BytesIO()
    np.save(npy, mfcc_FW)
    span = shards.write(paths.SHARDS / "spoilt.tar", [(row["clip"], raw | {"mfcc.npy": npy.getvalue()})])[row["clip"]]
    place = {"shard": "spoilt.tar", "offset": span.offset, "size": span.size, "member_sha256": span.sha256}
    spoilt = [one | place if one["clip"] == row["clip"] else one for one in rows]
    index.write(paths.INDEX, spoilt, index.INDEX_SCHEMA)
    with pytest.raises(UserError, match=f"{row['clip']} has sound features that are not finite"):
        Clips(paths.INDEX, paths.SHARDS, "train")[0]


def test_both_storages_of_equal_faces_give_equal_batches(tiny, clips, p):
    rows = []
    for row in index.kept(index.read(paths.INDEX), "train"):
        members = shards.read(paths.SHARDS / row["shard"], row["offset"], row["size"])
        faces_TSS3 = shards.decode(members).faces_TSS3
        raw = face_codec.encode(faces_TSS3, "raw", 95) | {
            name: members[name] for name in members if "faces" not in name
        }
        [span] = shards.write(Path(f"{len(rows)}.tar"), [(row["clip"], raw)]).values()
        place = {"shard": f"{len(rows)}.tar", "offset": span.offset, "size": span.size, "member_sha256": span.sha256}
        rows.append(row | place)
    index.write(Path("raw.parquet"), rows, index.INDEX_SCHEMA)
    raw = Clips(Path("raw.parquet"), Path(), "train")
    runs = dataclasses.replace(p.train, batch_size=8, num_runs=1)
    for one, other in zip(take(Batches(clips, runs, 7, 0), 6), take(Batches(raw, runs, 7, 0), 6), strict=True):
        assert same(one, other)


def test_training_decodes_no_face_that_is_not_drawn(clips, p):
    draws = clips.draw(p.train, seed=3, epoch=0, per_clip=3, flip=True)
    loader.batch_of(clips, draws)
    drawn = {(c, t) for of in (draws.target_N, draws.identity_N) for c, t in zip(draws.clip_N, of, strict=True)}
    assert sum(clips.stored(number).faces.num_bytes for number in range(len(clips))) == len(drawn) * 96 * 96 * 3


def test_resident_batches_equal_decoded_batches(clips, p):
    draws = clips.draw(p.train, seed=3, epoch=0, per_clip=12, flip=True)
    assert draws.flip_N.any() and not draws.flip_N.all()
    ends = [clip for clip in range(len(clips)) for _ in range(2)]  # first and last frame: windows that are padded
    lasts = [frame for row in clips.rows for frame in (0, row["num_frames"] - 1)]
    flips, silent = [False, True] * len(clips), [False] * len(ends)
    edges = Draws(*(np.array(x) for x in (ends, lasts, lasts, ends, lasts, flips, silent)))
    whole = Resident(clips, torch.device("cpu"))
    for rows in (draws, edges):
        assert same(whole.batch(rows), loader.batch_of(clips, rows))


def test_resident_batches_are_augmented_by_model_augment(clips, p):
    strong = dataclasses.replace(p.train.augment, colour=0.4, shift_px=16, microphone=0.5, disturbed=0.0)
    draws = clips.draw(p.train, seed=3, epoch=0, per_clip=12, flip=False)
    plain = loader.batch_of(clips, draws)

    def change_of(clip):
        return augment.draw(strong, seed=0, epoch=0, clip=clips.keys[clip])

    changed = Resident(clips, torch.device("cpu")).batch(draws, change_of)
    for k, clip in enumerate(draws.clip_N):
        change = change_of(int(clip))
        for name in ("identity_BSS3", "target_BSS3"):
            wanted = augment.faces(getattr(plain, name)[k : k + 1].numpy(), change)[0]
            assert np.array_equal(getattr(changed, name)[k].numpy(), wanted)
        for name in ("mfcc_BFW", "negative_BFW"):
            assert np.array_equal(
                getattr(changed, name)[k].numpy(), augment.sound(getattr(plain, name)[k].numpy(), change)
            )
        assert np.array_equal(changed.mouth_B4[k].numpy(), augment.box(plain.mouth_B4[k].numpy(), change, 96))


def test_resident_and_decoded_batches_have_the_same_disturbed_sounds(clips, p):
    loud = dataclasses.replace(p.train.augment, disturbed=0.5, silent=0.5)
    draws = clips.draw(p.train, seed=3, epoch=0, per_clip=12, flip=False, silent=loud.silent)
    assert draws.silent_N.any() and not draws.silent_N.all()

    def change_of(clip):
        return augment.draw(loud, seed=0, epoch=0, clip=clips.keys[clip])

    assert len({np.isinf(change_of(clip).snr_db) for clip in range(len(clips))}) == 2
    whole = Resident(clips, torch.device("cpu")).batch(draws, change_of)
    for one, other in zip(whole, loader.batch_of(clips, draws, change_of), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_silent_samples_are_single_frames_with_closed_mouths(clips, p):
    t = dataclasses.replace(p.train, batch_size=8, num_runs=1)
    epoch = loader.Epoch(clips, t, seed=0, epoch=0, per_clip=64, flip=True, silent=0.5)
    rows = epoch.rows(0).join(epoch.rows(1)).join(epoch.rows(2))
    closed = clips.closed()
    for k in range(len(rows)):
        if rows.silent_N[k]:
            assert k % 8 >= 5 and closed[rows.clip_N[k]][rows.target_N[k]]
            assert abs(rows.identity_N[k] - rows.target_N[k]) >= t.identity_min_frames
    assert rows.silent_N.any()


def test_data_that_does_not_fit_is_an_error_before_it_is_read(clips, monkeypatch):
    monkeypatch.setenv("LIPGAN_DATA", "ram")
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1_000_000)
    frames = sum(row["num_frames"] for row in clips.rows)
    with pytest.raises(UserError, match=f"the split takes {frames * 28_168 / 1e9:.1f} GB, 0.0 GB are free"):
        resident.maker(clips, torch.device("cpu"))


def test_more_ranks_than_clips_get_equal_batches(clips, p):
    many = dataclasses.replace(p.train, batch_size=64)
    assert len(clips) < 64
    parts = [Batches(clips, many, 0, 0, rank=rank, num_ranks=64) for rank in (0, 63)]
    assert [len(batch.target_BSS3) for part in parts for batch in take(part, 3)] == [1] * 6


@pytest.mark.parametrize(
    ("name", "value"), [("LIPGAN_PREFETCH", "0"), ("LIPGAN_PREFETCH", "²"), ("LIPGAN_DATA", "tape")]
)
def test_a_wrong_variable_is_named(clips, p, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"{name} must be"):
        resident.maker(clips, torch.device("cpu"))
        Batches(clips, p.train, 0, 0)
