"""The sync expert: network, losses, stage, meter and diagnosis."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, params_text

from model import expert, frame_runs, probe
from model.expert import RUN, SyncExpert
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.expert import batches, diagnose, stage
from tasks.inference import checkpoints
from tasks.inference.sync_meter import SyncMeter
from tasks.loading.clips import Clips


def load(**changes):
    Path("params.yaml").write_text(params_text(TINY | changes))
    return config.load(Path("params.yaml"))


@pytest.fixture
def clips(tiny):
    return Clips(paths.INDEX, paths.SHARDS, "train")


def test_a_run_is_its_five_lower_halves_rgb_after_rgb_in_time_order():
    frames = torch.arange(2 * RUN * 3, dtype=torch.float).reshape(2 * RUN, 3, 1, 1).expand(-1, -1, 96, 96).clone()
    frames[:, :, :48] = -1  # the upper half
    seen = expert.lower_halves(frames)
    assert seen.shape == (2, 15, 48, 96) and (seen >= 0).all()
    assert seen[:, :, 0, 0].tolist() == [list(range(15)), list(range(15, 30))]


@pytest.mark.parametrize("size", [96, 192])
def test_embeddings_have_length_one_and_a_new_expert_is_near_ln_2(size):
    torch.manual_seed(0)
    network = SyncExpert(0.125, size).eval()
    faces, sounds = torch.rand(4, 15, size // 2, size), torch.randn(4, 12, 35)
    for rows in (network.embed_faces(faces), network.embed_audio(sounds)):
        assert torch.allclose(rows.norm(dim=1), torch.ones(4), atol=1e-5)
    assert torch.equal(network.embed_audio(sounds), network.embed_audio(sounds.unsqueeze(1)))
    logit = torch.zeros(4, 4, requires_grad=True)
    which = expert.pairs(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 20, 0, 20]), 9)
    assert expert.pair_loss(logit, which, 0.1).item() == pytest.approx(math.log(2)) == expert.PLATEAU


@pytest.mark.parametrize("faces", [(2, 15, 96, 96), (2, 3, 48, 96)])
def test_faces_of_another_shape_are_an_error(faces):
    with pytest.raises(ValueError, match="faces must be"):
        SyncExpert(0.125).embed_faces(torch.zeros(faces))


def test_neither_the_neighbour_nor_the_same_frame_twice_is_a_negative():
    clip, frame = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([10, 12, 13, 10, 10])
    own, same, other = expert.pairs(clip, frame, 3)
    assert own[0].tolist() == [True, False, False, True, False]
    assert same[0].tolist() == [False, False, True, False, False]
    assert other[0].tolist() == [False, False, False, False, True]


def test_the_pair_loss_weighs_positives_and_negatives_equally_and_other_clips_by_their_share():
    which = expert.pairs(torch.tensor([0, 0, 1]), torch.tensor([0, 30, 0]), 9)
    sure = torch.where(which.own, 20.0, -20.0)
    assert expert.pair_loss(sure, which, 0.1).item() < 1e-6
    wrong_elsewhere = torch.where(which.other_clip, 20.0, sure)
    assert expert.pair_loss(wrong_elsewhere, which, 0.1).item() == pytest.approx(0.05 * 20, rel=1e-3)
    wrong_here = torch.where(which.same_clip, 20.0, sure)
    assert expert.pair_loss(wrong_here, which, 0.1).item() == pytest.approx(0.45 * 20, rel=1e-3)


def test_the_ranking_loss_looks_within_the_clip_only():
    which = expert.pairs(torch.tensor([0, 0, 1]), torch.tensor([0, 30, 0]), 9)
    logit = torch.where(which.other_clip, 50.0, 0.0)
    # two choices for the first two, one for the third
    assert expert.ranking_loss(logit, which).item() == pytest.approx(2 * math.log(2) / 3)


def test_runs_start_only_where_all_five_frames_have_a_face():
    found = np.array([1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1], bool)
    assert frame_runs.starts(found).tolist() == [0, 1, 7]
    assert len(frame_runs.starts(found[:4])) == 0


def test_an_epoch_takes_every_clip_once_and_a_batch_is_rebuilt_from_its_number():
    keys, starts = [f"clip{k}" for k in range(7)], [np.arange(30)] * 7
    drawn = [frame_runs.draw(step, keys, starts, seed=1, clips_per_batch=2, per_clip=4) for step in range(3)]
    assert len({int(c) for batch in drawn for c in batch.clip_C}) == 6
    again = frame_runs.draw(2, keys, starts, seed=1, clips_per_batch=2, per_clip=4)
    assert all(np.array_equal(a, b) for a, b in zip(drawn[2], again, strict=True))
    next_epoch = frame_runs.draw(3, keys, starts, seed=1, clips_per_batch=2, per_clip=4)
    assert next_epoch.epoch == 1


def test_a_batch_holds_the_frames_and_the_sound_of_the_middle_frame(clips):
    unchanged = {"flip": False, "colour": 0.0, "shift_px": 0, "microphone": 0.0, "disturbed": 0.0}
    p = load(**{f"expert.augment.{name}": value for name, value in unchanged.items()})
    batch = next(batches.batches(clips, p, 0))
    for k in range(len(batch.clip_B)):
        clip, at = clips[int(batch.clip_B[k])], int(batch.frame_B[k])
        assert np.array_equal(batch.faces_BRSS3[k].numpy(), clip.faces_TSS3[at : at + RUN])
        column = 4 * (at + 2) + 2  # the middle of the third frame
        if 0 <= column - 17 and column + 18 <= clip.mfcc_FW.shape[1]:
            assert np.array_equal(batch.mfcc_BFW[k].numpy(), clip.mfcc_FW[:, column - 17 : column + 18])


def test_an_interrupted_run_resumes_and_ends_with_the_same_weights(tiny, monkeypatch):
    p = load()
    stage.run(p)
    whole = hashlib.sha256(paths.EXPERT.read_bytes()).hexdigest()
    curve = paths.EXPERT_CURVE.read_text()
    again = load()
    for file in Path(".cache/expert").glob("*/state.pt"):
        file.unlink()
    steps = 0

    def stops(*args, **kwargs):
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        return step_loss(*args, **kwargs)

    step_loss = stage.step_loss
    monkeypatch.setattr(stage, "step_loss", stops)
    with pytest.raises(KeyboardInterrupt):
        stage.run(again)
    [state] = Path(".cache/expert").glob("*/state.pt")
    # literal: renaming one in the code would lose every training that was begun before
    assert checkpoints.load_state(state).keys() == {"step", "curve", "run_id", "checked", "network", "optimizer"}
    paths.EXPERT.unlink()
    stage.run(again)
    assert steps == 6  # 3 and the one that stopped it, then the last 2 from step 2 on
    assert hashlib.sha256(paths.EXPERT.read_bytes()).hexdigest() == whole
    assert paths.EXPERT_CURVE.read_text() == curve


def test_what_is_written_describes_itself(tiny):
    stage.run(load())
    about = json.loads(paths.EXPERT.with_suffix(".json").read_text())
    assert about["network"] == "sync expert" and about["loop"]["step"] == 4
    panel = json.loads(paths.EXPERT_REPORT.read_text())
    assert sum(panel["offset_histogram"].values()) == panel["runs"]
    assert set(panel["accuracy_by_offset"]) == {str(k) for k in range(-7, 8) if k}


def test_the_meter_reads_the_expert_and_finds_distances_at_every_offset(tiny, clips):
    stage.run(load())
    meter = SyncMeter()
    clip = clips[0]
    apart = meter.distances(clip.faces_TSS3, clip.mfcc_FW, max_offset=3)
    assert apart.shape == (len(clip.faces_TSS3) - 4, 7) and apart.dtype == np.float32
    assert np.isnan(apart[0]).tolist() == [True] + [False] * 6  # run 0's middle is frame 2: no sound at frame -1
    assert np.isnan(apart[-1]).tolist() == [False] * 6 + [True]
    network, about = checkpoints.load(paths.EXPERT)
    # by hand: run 5, sound 2 frames later
    expected = SyncExpert(about["params"]["model"]["width"]).eval()
    expected.load_state_dict(network)
    faces = torch.from_numpy(clip.faces_TSS3[5:10]).permute(0, 3, 1, 2).float() / 255
    column = 4 * (5 + 2 + 2) + 2
    sound = torch.from_numpy(clip.mfcc_FW[:, column - 17 : column + 18])[None]
    with torch.no_grad():
        one = expected.embed_faces(faces[:, :, 48:].reshape(1, 15, 48, 96))
        distance = (one - expected.embed_audio(sound)).norm()
    assert apart[5, 3 + 2] == pytest.approx(distance.item(), abs=1e-4)
    with pytest.raises(UserError, match="no run of 5"):
        meter.distances(clip.faces_TSS3[:4], clip.mfcc_FW)


def test_an_expert_that_is_not_there_is_one_line(tiny):
    with pytest.raises(UserError, match=r"models/expert\.safetensors: no such file"):
        SyncMeter()


def linear_clips(late, num_clips=12, noise=False):
    """Clips whose mouth is a linear function of the sound `late` frames later: -> per clip (T, X), (T,)"""
    rng = np.random.default_rng(0)
    line = rng.normal(size=20)
    sound = [rng.normal(size=(90, 20)) for _ in range(num_clips)]
    mouth = [
        np.roll(rng.normal(size=90) if noise else x_TX @ line, -late) + 0.1 * rng.normal(size=90) for x_TX in sound
    ]
    return sound, mouth


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_the_probe_finds_the_planted_offset(late):
    curve = probe.offset_curve(*linear_clips(late), max_offset=5)
    assert curve.argmax() - 5 == late and curve.max() > 0.8
    assert np.delete(curve, late + 5).max() < 0.3


def test_a_sound_that_does_not_predict_the_mouth_has_a_low_correlation():
    assert probe.offset_curve(*linear_clips(0, noise=True), max_offset=5).max() < diagnose.MIN_CORRELATION


@pytest.mark.parametrize(
    ("late", "noise", "kind", "words"),
    [
        (0, False, "normal so far", "train longer"),
        (4, False, "data problem", "the sound is late"),
        (-4, False, "data problem", "the sound is early"),
        (0, True, "data problem", "does not predict the mouth"),
    ],
)
def test_the_plateau_is_normal_with_good_data_and_a_data_problem_otherwise(
    clips, monkeypatch, late, noise, kind, words
):
    monkeypatch.setattr(diagnose, "FEWEST_CLIPS", 2)
    monkeypatch.setattr(diagnose, "tiny_set_loss", lambda clips, p: 0.1)  # tested below
    curve = probe.offset_curve(*linear_clips(late, noise=noise), max_offset=5)
    monkeypatch.setattr(diagnose, "sound_to_mouth", lambda clips, max_offset: curve)
    diagnosis = diagnose.diagnose(clips, load(**{"expert.max_offset": 5}))
    assert diagnosis.kind == kind and words in diagnosis.line


def test_the_probe_gives_a_correlation_for_every_offset_of_the_embedded_corpus(clips):
    assert diagnose.sound_to_mouth(clips, 3).shape == (7,)


def test_a_tiny_set_is_overfitted_and_a_rate_of_zero_is_a_settings_problem(clips):
    assert diagnose.tiny_set_loss(clips, load(**{"expert.lr": 0.003})) < diagnose.LEARNT * expert.PLATEAU
    assert diagnose.diagnose(clips, load(**{"expert.lr": 0.0})).kind == "settings problem"
