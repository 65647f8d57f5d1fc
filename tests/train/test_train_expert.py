"""Stage `train` with the expert: its first weights, its terms in the loss, and going on after a stop."""

import hashlib
from pathlib import Path

import pytest
import torch
from conftest import TINY, params_text

from model.expert import RUN
from model.gan import Gan
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.expert import stage as expert_stage
from tasks.inference import checkpoints
from tasks.loading import batches as loader
from tasks.loading.batches import Batches
from tasks.loading.clips import Clips
from tasks.train import stage as train

TERM = {"begin": 0.0, "ramp": 0.0, "metric": "none", "below": 0.0}
WITH_EXPERT = TINY | {
    "train.batch_size": 7,
    "train.num_runs": 1,
    "train.val_samples": 7,
    "train.audio_from_expert": "first",
    "train.terms.expert": TERM | {"weight": 0.01, "ramp": 0.5},
    "train.terms.perceptual": TERM | {"weight": 0.1, "metric": "val_mouth_l1", "below": 10.0},
    "train.terms.quality": TERM | {"weight": 0.01, "begin": 0.5},
    "train.terms.temporal": TERM | {"weight": 0.1},
}


def load(**changes):
    Path("params.yaml").write_text(params_text(WITH_EXPERT | changes))
    return config.load(Path("params.yaml"))


@pytest.fixture(scope="module")
def with_expert_folder(tiny_folder, tmp_path_factory):
    import shutil

    from conftest import inside

    folder = shutil.copytree(tiny_folder, tmp_path_factory.mktemp("with_expert") / "p", symlinks=True)
    with inside(folder):
        expert_stage.run(load())
    return folder


@pytest.fixture
def with_expert(with_expert_folder, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(with_expert_folder, tmp_path / "p", symlinks=True)
    monkeypatch.chdir(tmp_path / "p")
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / "p/.cache"))


def test_a_batch_begins_with_runs_of_one_clip_and_identity_in_time_order(with_expert):
    p = load()
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    rows = loader.Epoch(clips, p.train, seed=0, epoch=0, per_clip=8, flip=True).rows(0)
    assert len(rows) == 7
    run = rows.rows(0, RUN)
    for shared in (run.clip_N, run.identity_N, run.flip_N, run.negative_clip_N):
        assert len(set(shared.tolist())) == 1
    assert (run.target_N - run.target_N[0]).tolist() == [0, 1, 2, 3, 4]
    assert (run.negative_frame_N - run.negative_frame_N[0]).tolist() == [0, 1, 2, 3, 4]
    assert (abs(run.identity_N - run.target_N) >= p.train.identity_min_frames).all()


def test_ranks_share_the_runs_and_the_single_frames_of_a_batch(with_expert):
    p = load(**{"train.batch_size": 14, "train.num_runs": 2})
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    parts = []
    for rank in range(2):
        batches = Batches(clips, p.train, 0, 0, rank=rank, num_ranks=2)
        parts.append(next(batches))
        batches.close()
    whole = Batches(clips, p.train, 0, 0)
    batch = next(whole)
    whole.close()
    joined = [torch.cat([a[:RUN], b[:RUN], a[RUN:], b[RUN:]]) for a, b in zip(*parts, strict=True)]
    assert all(torch.equal(one, other) for one, other in zip(joined, batch, strict=True))


def test_training_clips_are_augmented_and_validation_is_not(with_expert):
    clips, p = Clips(paths.INDEX, paths.SHARDS, "train"), load()
    unchanged = load(
        **{
            "train.augment.flip": False,
            "train.augment.colour": 0.0,
            "train.augment.shift_px": 0,
            "train.augment.microphone": 0.0,
        }
    )
    batches = [Batches(clips, of.train, 0, 0) for of in (p, unchanged)]
    one, other = (next(batch) for batch in batches)
    for batch in batches:
        batch.close()
    assert not torch.equal(one.target_BSS3, other.target_BSS3) and not torch.equal(one.mfcc_BFW, other.mfcc_BFW)
    fixed, same = (loader.fixed_batches(clips, of.train, 7, 0)[0] for of in (p, unchanged))
    assert all(torch.equal(a, b) for a, b in zip(fixed, same, strict=True))


def test_the_generator_is_initialised_with_the_experts_audio_encoder(with_expert):
    gan = train.make_gan(load(), torch.device("cpu"))
    weights, _ = checkpoints.load(paths.EXPERT)
    for network in (gan.generator, gan.shown):
        assert all(torch.equal(w, weights[f"audio_code.{name}"]) for name, w in network.audio_code.state_dict().items())


def test_an_expert_of_another_width_is_one_line(with_expert):
    with pytest.raises(UserError, match="run `dvc repro expert`"):
        train.run(load(**{"model.width": 0.25}))


def test_without_an_expert_file_a_loss_that_needs_it_is_one_line_and_one_that_does_not_trains(with_expert):
    paths.EXPERT.unlink()
    with pytest.raises(UserError, match=r"expert\.safetensors: no such file"):
        train.run(load())
    off = {f"train.terms.{name}": TERM | {"weight": 0.0} for name in ("expert", "perceptual")}
    train.run(load(**off | {"train.audio_from_expert": "never", "train.num_steps": 2}))


def test_an_interrupted_run_with_every_term_resumes_to_the_same_weights(with_expert, monkeypatch):
    p = load()
    train.run(p)
    whole = hashlib.sha256(paths.GENERATOR.read_bytes()).hexdigest()
    curve = paths.TRAIN_CURVE.read_text()
    assert "weight_quality" in curve and "val_expert_loss" in curve
    for file in Path(".cache/train").glob("*/*.pt"):
        file.unlink()
    steps, step = 0, Gan.step

    def stops(self, batch):
        nonlocal steps
        steps += 1
        if steps == 6:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(Gan, "step", stops)
    with pytest.raises(KeyboardInterrupt):
        train.run(p)
    paths.GENERATOR.unlink()
    train.run(p)
    assert steps > 6
    assert hashlib.sha256(paths.GENERATOR.read_bytes()).hexdigest() == whole
    assert paths.TRAIN_CURVE.read_text() == curve


@pytest.mark.parametrize(("how", "stays"), [("frozen", True), ("first", False)])
def test_a_frozen_audio_encoder_stays_the_experts_and_the_rest_learns(with_expert, how, stays):
    train.run(load(**{"train.audio_from_expert": how, "train.num_steps": 2}))
    made, _ = checkpoints.load(paths.GENERATOR)
    expert, _ = checkpoints.load(paths.EXPERT)
    equal = [torch.equal(made[name], weight) for name, weight in expert.items() if name.startswith("audio_code.")]
    assert all(equal) if stays else not all(equal)
    begun = train.make_gan(load(), torch.device("cpu")).shown.state_dict()
    assert not torch.equal(begun["picture.2.weight"], made["picture.2.weight"])
