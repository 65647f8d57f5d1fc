"""The network that paints the mouth's inside, and its training step."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model import inside
from model.inside import HEIGHT, PX_PER_EYES, WIDTH, InsideNet
from model.inside_gan import InsideGan, Pairs, inputs
from tasks.core import config

P = replace(
    config.load(Path("params.yaml")).inside, width=8, quality_width=0.125, num_steps=40, warmup_steps=2, batch_size=8
)


def mouths(seed, num=8):
    """Crops of one colour each with lips of a random size, between which the truth is a quarter as bright."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    skin_NHW3 = rng.integers(80, 220, (num, 1, 1, 3)) * np.ones((1, HEIGHT, WIDTH, 1))
    size_N = rng.uniform(0.1, 0.3, (num, 1, 1))
    radius_NHW = np.hypot((columns - WIDTH / 2) / WIDTH, (rows - HEIGHT / 2) / HEIGHT)[None]
    inner_NHW, outer_NHW = radius_NHW < size_N, radius_NHW < size_N + 0.1
    true_NHW3 = np.where(inner_NHW[..., None], skin_NHW3 / 4, skin_NHW3)
    masks_N3HW = 255 * np.stack([inner_NHW, outer_NHW, inner_NHW], axis=1)
    return Pairs(*(torch.from_numpy(part.astype(np.uint8)) for part in (skin_NHW3, true_NHW3, masks_N3HW)))


def error(gan, pairs):
    with torch.no_grad():
        made = gan.average.network(inputs(pairs))
    true, area = pairs.true_BHW3.permute(0, 3, 1, 2) / 255, pairs.masks_B3HW[:, 2:] / 255
    return float(((made - true).abs() * area).sum() / area.sum())


def trained(gan, first, end):
    for number in range(first, end):
        figures = gan.step(mouths(number), number)
    return figures


def test_an_untrained_network_returns_the_warped_picture():
    pairs = mouths(0, 1)
    crop, [inner, outer, _] = pairs.warped_BHW3[0].numpy(), pairs.masks_B3HW[0].numpy().astype(np.float32) / 255
    made = inside.painted(InsideNet(8).eval(), crop, inner, outer)
    assert made.shape == (HEIGHT, WIDTH, 3) and np.abs(made - crop).max() < 0.01


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, -75.0])
@pytest.mark.parametrize("size_px", [25.0, 100.0, 400.0])
def test_a_crop_is_upright_centred_between_the_lips_and_of_one_scale(angle_deg, size_px):
    a = np.radians(angle_deg)
    turn_33 = size_px * np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
    canonical = np.array([[0.2, 0.9, 0], [-0.2, 0.9, 0], [0.0, 0.8, 0], [0.0, 1.0, 0]])
    inner_N2 = (canonical @ turn_33 + [300, 200, 0])[:, :2]
    matrix_23 = inside.alignment(inner_N2, turn_33)
    placed = inner_N2 @ matrix_23[:, :2].T + matrix_23[:, 2]
    centre = np.array([WIDTH / 2, HEIGHT / 2])
    np.testing.assert_allclose(placed, centre + PX_PER_EYES * (canonical[:, :2] - [0, 0.9]), atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(precision):
    p = replace(P, num_steps=6, quality_from=0.3, precision=precision)
    torch.manual_seed(0)
    whole = InsideGan(p)
    trained(whole, 0, 4)
    state = copy.deepcopy(whole.state_dict())
    trained(whole, 4, 6)
    torch.manual_seed(1)
    resumed = InsideGan(p)
    resumed.load_state_dict(state)
    trained(resumed, 4, 6)
    for one, other in ((whole.net, resumed.net), (whole.quality, resumed.quality)):
        assert all(
            torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        )
    assert error(whole, mouths(99)) == error(resumed, mouths(99))


def test_some_steps_halve_the_error_on_mouths_never_seen():
    torch.manual_seed(0)
    gan, held_out = InsideGan(replace(P, average=0.8)), mouths(999)
    before = error(gan, held_out)
    trained(gan, 0, P.num_steps)
    assert error(gan, held_out) < before / 2


def test_the_discriminator_joins_at_its_share_of_the_steps_and_not_with_weight_0():
    gan = InsideGan(replace(P, quality_from=0.5))
    assert "realism" not in gan.step(mouths(0), 19) and "realism" in gan.step(mouths(0), 20)
    assert "realism" not in InsideGan(replace(P, quality_from=0.5, quality_weight=0.0)).step(mouths(0), 20)


def test_the_surroundings_of_the_inside_do_not_reach_the_discriminator():
    """Pictures that differ outside the painted area alone are the same to it."""
    gan, pairs = InsideGan(replace(P, quality_from=0.0)), mouths(0)
    warped = torch.where(pairs.masks_B3HW[:, 2, :, :, None] > 0, pairs.warped_BHW3, 0)
    torch.manual_seed(0)
    losses = [copy.deepcopy(gan).step(pairs._replace(warped_BHW3=of), 0)["quality_loss"] for of in (pairs[0], warped)]
    assert torch.equal(*losses)
