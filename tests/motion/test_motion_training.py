import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model import head_mesh
from model.motion import Motion, listen
from tasks.core import config
from tasks.core.errors import UserError
from tasks.inference import motion_weights
from tasks.motion import measure
from tasks.motion.batches import MotionClip, Pieces, at_most, geometric_mean, padded, shares, sizes, spoken_faster
from tasks.motion.clips import Source
from tasks.motion.folders import Order, splits
from tasks.motion.loop import MotionTrainer
from tasks.motion.training import average_person, trained

SMALL = dataclasses.replace(
    config.load(Path("params.yaml")).motion,
    width=24, num_components=3, num_steps=40, warmup_steps=5, clips_per_batch=6, num_frames=24, average=0.9,
    dropout=0.1, log_every=10, val_every=40, checkpoint_every=20,
)  # fmt: skip


def clip_of(person, number, frames=60, size=0.1):
    """Bursts of noise, and a mouth that is open during them."""
    rng = np.random.default_rng([number, len(person)])
    loud_T = np.repeat(rng.random(-(-frames // 6)) < 0.5, 6)[:frames]
    loud_T[:6], loud_T[6:12] = False, True
    sound = rng.standard_normal(frames * 640) * (0.1 * np.repeat(loud_T, 640) + 1e-4)
    open_T = np.convolve(np.pad(loud_T.astype(float), 2, mode="edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid") * size
    mouth_TS3 = np.zeros((frames, 59, 3), np.float32)
    mouth_TS3[:, head_mesh.UPPER_INNER, 1] = 0.8
    mouth_TS3[:, head_mesh.LOWER_INNER, 1] = 0.8 + open_T[:, None]
    mouth_TS3[:, head_mesh.LOWER_INNER, 2] = rng.normal(0, 0.002, (frames, 9))
    return MotionClip(f"{person}-{number}", person, listen(sound, SMALL), mouth_TS3)


CLIPS = [clip_of("ann", number) for number in range(4)] + [clip_of("bob", number, size=0.2) for number in range(4)]
UNSEEN = [clip_of("eve", number) for number in range(20, 24)]


def trainer():
    return MotionTrainer(Pieces(CLIPS, SMALL, seed=0), SMALL, seed=0)


def nothing(*_):
    return {}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit():
    states = []
    whole = trainer()
    whole.run(measure=nothing, save=lambda state: states.append(torch_copy(state)), log=nothing, after_step=nothing)
    assert [state["step"] for state in states] == [20, 40]
    resumed = trainer()
    resumed.restore(states[0])
    resumed.run(measure=nothing, save=nothing, log=nothing, after_step=nothing)
    assert same(whole.net.state_dict(), resumed.net.state_dict())
    assert same(whole.average.network.state_dict(), resumed.average.network.state_dict())
    assert whole.curve == resumed.curve


def torch_copy(state):
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_a_short_training_learns_to_open_the_mouth_where_there_is_sound(tmp_path):
    of = trainer()
    size_of = sizes(UNSEEN, average_person(of.pieces, UNSEEN), SMALL)

    def figures():
        network = trained(of.average.network, of.pieces, UNSEEN, SMALL)
        return network, measure.figures(network, UNSEEN, size_of)["eve"]

    before = figures()[1]
    of.run(measure=nothing, save=nothing, log=nothing, after_step=nothing)
    network, after = figures()
    assert after["opening_r"] > max(0.8, before["opening_r"] + 0.2)
    assert abs(after["moved_r"]) < 0.5
    assert 0.8 < after["amplitude"] * size_of["eve"] < 1.2

    motion_weights.save(tmp_path / "motion.safetensors", network, {})
    loaded = motion_weights.load(tmp_path / "motion.safetensors")
    middles_s = np.arange(20) / 30
    np.testing.assert_allclose(
        loaded.codes_of(UNSEEN[0].power_CM, middles_s), network.codes_of(UNSEEN[0].power_CM, middles_s), atol=1e-5
    )


def test_a_batch_depends_only_on_the_seed_and_the_step():
    pieces = Pieces(CLIPS, SMALL, seed=0)
    features, code, folder = pieces.batch(7)
    pieces.batch(3)
    assert torch.equal(features, pieces.batch(7)[0])
    assert torch.equal(code, Pieces(CLIPS, SMALL, seed=0).batch(7)[1])
    assert not torch.equal(features, pieces.batch(8)[0])
    assert folder.tolist() == [0] * 6
    assert features.shape == (6, SMALL.num_bands, 96) and code.shape == (6, 24, 3)


def test_people_are_scaled_to_one_size():
    pieces = Pieces(CLIPS, SMALL, seed=0)
    size_of = sizes(CLIPS, geometric_mean(pieces.spread_of.values()), SMALL)
    assert size_of["ann"] * size_of["bob"] == pytest.approx(1)
    assert size_of["bob"] / size_of["ann"] == pytest.approx(2, rel=0.2)
    spread = [np.abs(clip.code_TK[:, 0]).max() for clip in pieces.clips]
    assert max(spread) / min(spread) < 1.3
    assert set(sizes(CLIPS, 0.1, dataclasses.replace(SMALL, same_size=False)).values()) == {1.0}


def test_shares_are_by_folder_then_by_person():
    clips = [
        *(dataclasses.replace(clip_of("ann", n), folder=0) for n in range(3)),
        dataclasses.replace(clip_of("bob", 0), folder=0),
        *(dataclasses.replace(clip_of(name, 0), folder=1) for name in "cd"),
    ]
    p = dataclasses.replace(SMALL, first_share=0.7, person_balance=0.0)
    np.testing.assert_allclose(shares(clips, p), [0.7 / 6] * 3 + [0.35] + [0.15] * 2)
    p = dataclasses.replace(p, person_balance=1.0)
    np.testing.assert_allclose(shares(clips, p), [0.175] * 4 + [0.15] * 2)
    np.testing.assert_allclose(shares(clips[:4], p), [0.25] * 4)


def test_at_double_speed_audio_and_mouth_stay_aligned():
    clip = Pieces(CLIPS, SMALL, seed=0).clips[0]
    power_CM, code_TK = spoken_faster(clip, 2.0)
    assert len(power_CM) == 120 and len(code_TK) == 30
    np.testing.assert_allclose(code_TK[10], (clip.code_TK[20] + clip.code_TK[21]) / 2, rtol=1e-5)
    np.testing.assert_allclose(power_CM[40], clip.power_CM[80], rtol=1e-5)
    level_T = np.log(power_CM.mean(axis=1)).reshape(30, 4).mean(axis=1)
    assert measure.correlation(level_T, code_TK[:, 0]) > 0.8


def test_a_clip_shorter_than_a_piece_repeats_its_last_values():
    features_CM, code_TK = padded(np.arange(8.0)[:, None], np.arange(2.0)[:, None], 5)
    assert features_CM[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7] + [7] * 12
    assert code_TK[:, 0].tolist() == [0, 1, 1, 1, 1]


def test_metrics_of_a_late_mouth_with_half_the_motion_that_never_closes():
    true_T = np.maximum(np.sin(np.arange(80) * 0.7) * np.sin(np.arange(80) * 0.11), 0) * 0.1
    figures = measure.compared(np.roll(true_T, 2) / 2 + 0.03, true_T)
    assert figures["lag_frames"] == 2 and figures["best_r"] == pytest.approx(1)
    assert figures["amplitude"] == pytest.approx(0.5, abs=0.01)
    assert figures["closed_found"] == 0
    assert measure.compared(true_T, true_T)["closed_found"] == 1
    assert measure.compared(true_T, true_T)["closed_wrongly"] == 0


def test_a_perfect_prediction_moved_in_time_has_the_truths_own_correlation_which_a_silent_start_and_end_make_negative():
    sentence_T = np.maximum(np.sin(np.linspace(-1, 4.14, 75)), 0) * 0.1
    figures = measure.compared(sentence_T, sentence_T)
    assert figures["moved_r"] == figures["true_moved_r"] < -0.1
    assert figures["true_spread"] == pytest.approx(sentence_T.std())
    assert figures["moved_excess"] == 0


def test_a_mouth_that_moves_alike_whatever_is_said_exceeds_what_the_sentence_itself_gives_when_moved():
    frames, rng = np.arange(90), np.random.default_rng(0)
    rhythm_T = np.sin(2 * np.pi * frames / 15)  # comes again after a third, half and two thirds of the clip
    said_T = rhythm_T + rng.normal(size=90)
    assert measure.compared(rhythm_T, said_T)["moved_excess"] > 0.2
    heard_T = said_T + 0.5 * rng.normal(size=90)
    assert abs(measure.compared(heard_T, said_T)["moved_excess"]) < 0.1


def test_clips_per_person_are_limited_and_evenly_spaced():
    sources = [Source("ann", Path(f"{n:02d}"), 0) for n in range(10)] + [Source("bob", Path("x"), 0)]
    assert [str(source.video) for source in at_most(sources, 4)] == ["00", "03", "06", "09", "x"]
    assert at_most(sources, 100) == sources


def order(**changed):
    return dataclasses.replace(Order((Path("videos"),), Path("out.safetensors"), ("bob",), ("p0[4-8]",)), **changed)


def test_everybody_is_in_exactly_one_split():
    sources = [Source(person, Path(person), 0) for person in ("ann", "bob", "p03", "p04", "p08")]
    split = splits(sources, order())
    assert {name: [source.person for source in of] for name, of in split.items()} == {
        "train": ["ann", "p03"], "val": ["bob"], "test": ["p04", "p08"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"val": ("nobody",)}, "matches nobody"),
        ({"val": ("ann", "bob")}, "nobody to train on"),
        ({"val": ("bob",), "test": ("b*",)}, "bob is in both --val and --test"),
    ],
)
def test_invalid_people_are_user_errors(changed, message):
    sources = [Source(person, Path(person), 0) for person in ("ann", "bob")]
    with pytest.raises(UserError, match=message):
        splits(sources, order(**{"test": ()} | changed))


def test_weights_of_another_format_are_user_errors(tmp_path):
    network = Motion(trainer().net, trainer().pieces.shapes, SMALL)
    path = tmp_path / "motion.safetensors"
    motion_weights.save(path, network, {})
    sidecar = path.with_suffix(".json")
    sidecar.write_text(sidecar.read_text().replace('"width": 24', '"width": 25'))
    with pytest.raises(UserError, match="not a motion network of this version"):
        motion_weights.load(path)
    sidecar.write_text("{}")
    with pytest.raises(UserError, match="format None"):
        motion_weights.load(path)
