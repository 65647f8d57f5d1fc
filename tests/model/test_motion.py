from pathlib import Path

import numpy as np
import pytest
import torch

from model import head_mesh, motion, motion_augment
from model.motion import Motion, MotionNet, Shapes, Voice
from tasks.core import config

P = config.load(Path("params.yaml")).motion
SECOND = 16_000


def a_voice(seconds=2.0, seed=0):
    """Bursts of noise of a tenth of a second with pauses between them."""
    noise = np.random.default_rng(seed).standard_normal(int(seconds * SECOND))
    return (noise * 0.1 * (np.arange(len(noise)) // 1600 % 2)).astype(np.float32)


def shapes(num_components=P.num_components):
    shifts = np.random.default_rng(1).normal(size=(300, 59, 3)) * np.linspace(0.001, 0.1, 59)[:, None]
    return motion.principal_shapes(shifts, num_components)


def a_network():
    torch.manual_seed(0)
    return MotionNet(P)


def closed_mouth():
    mouth_S3 = np.zeros((59, 3))
    mouth_S3[head_mesh.LOWER_INNER, 1] = mouth_S3[head_mesh.UPPER_INNER, 1] = 0.9
    return mouth_S3


def test_codes_of_shifts_of_codes_are_the_codes():
    of = shapes()
    code_TK = np.random.default_rng(2).normal(size=(7, P.num_components)).astype(np.float32)
    np.testing.assert_allclose(of.codes(of.shifts(code_TK)), code_TK, atol=1e-5)


def test_a_zero_code_is_a_closed_mouth():
    assert not shapes().shifts(np.zeros((3, P.num_components))).any()


def test_components_have_unit_deviation_and_descending_scale():
    shifts = np.random.default_rng(3).normal(size=(500, 59, 3)) * np.linspace(0.01, 1, 59)[:, None]
    of = motion.principal_shapes(shifts, 5)
    np.testing.assert_allclose(of.codes(shifts).std(axis=0), 1, atol=0.01)
    assert (np.diff(of.scale_K) <= 1e-6).all()


def test_features_do_not_depend_on_the_voices_level():
    quiet, loud = (motion.heard(motion.listen(a_voice() * level, P)) for level in (1.0, 4.0))
    np.testing.assert_allclose(quiet, loud, atol=1e-3)


def test_features_hardly_depend_on_the_microphone():
    power_CM = motion.listen(a_voice(), P)
    filtered = power_CM * np.exp(np.linspace(1, -1, P.num_bands)).astype(np.float32)
    voiced = power_CM.mean(axis=1) > np.quantile(power_CM.mean(axis=1), 0.6)
    assert np.abs(motion.heard(power_CM) - motion.heard(filtered))[voiced].mean() < 0.02  # the filter itself: 0.17


def test_noise_without_a_voice_is_not_amplified_to_voice_level():
    hiss = np.random.default_rng(0).standard_normal(2 * SECOND).astype(np.float32) * 1e-4
    assert motion.heard(motion.listen(hiss, P)).mean() < motion.heard(motion.listen(a_voice(), P)).mean()
    assert np.isfinite(motion.heard(motion.listen(np.zeros(SECOND, np.float32), P))).all()


@pytest.mark.parametrize("samples", [0, 1, 319, 641])
def test_sound_of_any_length_gives_every_frame_a_mouth(samples):
    codes = Motion(a_network(), shapes(), P).codes(a_voice()[:samples], motion.frame_middles_s(4))
    assert codes.shape == (4, P.num_components) and np.isfinite(codes).all()


def test_a_steps_context_is_centred_on_its_own_time():
    """The network's response to a click is centred on the step of the click's column."""
    network = a_network().eval()
    silent = torch.zeros(1, P.num_bands, 400)
    clicked = silent.clone()
    clicked[:, :, 200] = 1
    with torch.no_grad():
        change_H = (network(clicked) - network(silent)).abs().sum(dim=1)[0]
    affected = torch.nonzero(change_H)[:, 0]
    assert (affected[0] + affected[-1]).item() == 2 * 100  # step 100 is centred at column 200
    assert (affected[-1] - 100).item() * motion.STEP_S <= 0.65


def test_kinds_share_all_but_the_last_layer_and_only_the_first_kinds_is_kept():
    torch.manual_seed(0)
    both = MotionNet(P, num_kinds=2).eval()
    features = torch.randn(1, P.num_bands, 80)
    with torch.no_grad():
        codes = both(features.expand(2, -1, -1), torch.tensor([0, 1]))
        torch.testing.assert_close(both.of_first_kind(P)(features)[0], codes[0])
        torch.testing.assert_close(both(features)[0], codes[0])
        assert (codes[0] - codes[1]).abs().mean() > 0.01


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 60.0])
def test_the_mouth_at_a_time_does_not_depend_on_the_frame_rate(fps):
    network = Motion(a_network(), shapes(), P)
    middles_s = motion.frame_middles_s(int(1.5 * fps), fps)
    at_rate = network.codes(a_voice(), middles_s)
    fine_s = np.arange(0, 1.99, 0.0025)
    fine = network.codes(a_voice(), fine_s)
    for t in (3, 10, 20):
        np.testing.assert_allclose(at_rate[t], motion_augment.resampled(fine, [middles_s[t] / 0.0025])[0], atol=0.02)


def test_frames_at_25_fps_are_every_second_step():
    code_BKH = torch.arange(12.0).reshape(1, 1, 12)
    at_frames = motion.at_frames(code_BKH)[0, :, 0].numpy()
    at_times = motion.at_times(np.arange(12.0)[:, None], motion.frame_middles_s(6))[:, 0]
    np.testing.assert_allclose(at_frames, at_times)


def test_mapped_openings_have_the_distribution_of_real_ones():
    predicted_T = np.random.default_rng(0).normal(0.05, 0.02, 5000)
    real_T = np.random.default_rng(1).exponential(0.06, 5000)
    quantiles = np.linspace(0, 1, 41)
    mapped_T = motion.mapped(predicted_T, np.quantile(predicted_T, quantiles), np.quantile(real_T, quantiles))
    np.testing.assert_allclose(np.quantile(mapped_T, [0.1, 0.5, 0.9]), np.quantile(real_T, [0.1, 0.5, 0.9]), atol=0.003)
    assert (np.argsort(mapped_T) == np.argsort(predicted_T)).all()


def test_the_voice_changes_the_opening_as_its_quantiles_say():
    of, network = shapes(), a_network()
    plain = Motion(network, of, P)
    voice = Voice(np.ones(P.num_components), np.array([-1.0, 1.0]), np.array([-0.5, 1.5]))  # half a unit more open
    middles_s = motion.frame_middles_s(40)
    more = Motion(network, of, P, voice).codes(a_voice(), middles_s) - plain.codes(a_voice(), middles_s)
    np.testing.assert_allclose(head_mesh.mouth_opening(of.shifts(more)), 0.5, atol=1e-5)


def test_strength_0_gives_a_closed_mouth_and_lips_never_cross():
    network = Motion(a_network(), shapes(), P)
    middles_s = motion.frame_middles_s(40)
    np.testing.assert_allclose(network.mouths(a_voice(), middles_s, closed_mouth(), 0.0) - closed_mouth(), 0, atol=1e-9)
    wild = network.mouths(a_voice(), middles_s, closed_mouth(), 50.0)
    assert (wild[:, head_mesh.LOWER_INNER, 1] - wild[:, head_mesh.UPPER_INNER, 1] >= -1e-9).all()


def test_the_loss_is_0_for_a_perfect_prediction_and_the_square_of_a_constant_error():
    true = torch.randn(2, 9, 4)
    ones = torch.ones(4)
    assert motion.loss(true, true, ones, ones / 2, P)["loss"] == 0
    off = motion.loss(true + 0.5, true, ones, ones / 2, P)
    assert off["shape"].item() == pytest.approx(0.25)
    assert off["velocity"].item() == pytest.approx(0, abs=1e-10)
    assert off["opening"].item() == pytest.approx(1.0)


def test_throat_factor_1_and_a_dry_room_change_nothing():
    power_CM = motion.listen(a_voice(), P)
    np.testing.assert_allclose(motion_augment.throat(power_CM, 1.0), power_CM, rtol=1e-6)
    np.testing.assert_allclose(motion_augment.reverberant(power_CM, 0.5, 0.0), power_CM, rtol=1e-6)


def test_reverberation_decays_by_60_db_in_the_decay_time():
    power_CM = np.zeros((200, 3), np.float32)
    power_CM[10] = 1
    tail_C = motion_augment.reverberant(power_CM, 0.5, 1.0)[11:, 0]
    np.testing.assert_allclose(10 * np.log10(tail_C[40] / tail_C[0]), -60 * 0.4 / 0.5, atol=0.1)
    assert not motion_augment.reverberant(power_CM, 0.5, 1.0)[:10].round(6).any()


def test_disturbances_have_a_mean_power_of_1():
    rng = np.random.default_rng(0)
    chords_PCM = motion_augment.chords(P)
    for _ in range(5):
        assert motion_augment.noise(rng, (500, 40)).mean() == pytest.approx(1, abs=1e-4)
        assert motion_augment.music(rng, (500, 40), chords_PCM).mean() == pytest.approx(1, abs=1e-4)


def test_opening_k_is_the_opening_per_deviation_of_a_component():
    basis_KD = np.zeros((1, 59, 3))
    basis_KD[0, head_mesh.LOWER_INNER, 1] = 1 / 3
    assert Shapes(basis_KD.reshape(1, -1), np.array([0.6])).opening_K()[0] == pytest.approx(0.2)
