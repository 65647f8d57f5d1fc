"""The painted inside of a mouth: where it goes, and that nothing else changes."""

import cv2
import numpy as np
import pytest
import torch

from model.inside import PX_PER_EYES, InsideNet
from tasks.compositor import inside

ANGLES = np.linspace(0, 2 * np.pi, 20, endpoint=False)


@pytest.fixture
def net():
    """Paints something else than it is shown."""
    torch.manual_seed(0)
    net = InsideNet(8).eval().requires_grad_(False)
    torch.nn.init.constant_(net.last.bias, -0.4)
    return net


def lips(scale, centre):
    circle = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    return [scale * circle * size + centre for size in ([0.24, 0.12], [0.3, 0.2])]


def turn(scale):
    return scale * np.eye(3)


def picture(size=(240, 320), seed=0):
    noise = np.random.default_rng(seed).uniform(90, 210, (*size, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 6) * 3 - 300, 0, 255).astype(np.uint8)


def test_what_the_library_has_is_not_lacking():
    available = np.array([0.0, 0.1, 0.1, 0.0, 0.0])
    wanted = np.array([0.0, 0.1, 0.13, 0.025, 0.3])
    np.testing.assert_allclose(inside.lack(wanted, available), [0, 0, 0, 0.5, 1], atol=1e-12)


@pytest.mark.parametrize("scale", [40.0, 100.0, 260.0])
def test_only_the_inside_and_a_narrow_edge_change(net, scale):
    old, (inner, outer) = picture(), lips(scale, (160, 120))
    new = inside.paint(net, old, inner, outer, turn(scale), 1.0)
    reach = cv2.dilate(
        inside.filled(old.shape[:2], inner), np.ones((3, 3)), iterations=round(9 * scale / PX_PER_EYES) + 3
    )
    assert (new == old)[reach == 0].all()
    deep = cv2.erode(inside.filled(old.shape[:2], inner), np.ones((3, 3)), iterations=3) > 0.99
    change = old[deep].astype(float) - new[deep]
    assert np.median(change) == pytest.approx(0.4 * 255, abs=12)  # of what is not black before


def test_a_share_of_the_painting_is_that_share_of_the_change(net):
    old, (inner, outer) = picture(), lips(100, (160, 120))
    whole, half, nothing = (inside.paint(net, old, inner, outer, turn(100), share) for share in (1.0, 0.5, 0.0))
    assert (nothing == old).all()
    np.testing.assert_allclose(half, (old.astype(float) + whole) / 2, atol=1)


def test_the_painting_lies_where_the_lips_are_in_a_turned_head(net):
    a, old = np.radians(40), picture()
    turned_33 = 100 * np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])
    inner, outer = ((one - (160, 120)) @ turned_33[:2, :2] / 100 + (160, 120) for one in lips(100, (160, 120)))
    changed = (inside.paint(net, old, inner, outer, turned_33, 1.0) != old).any(axis=2)
    area = inside.filled(old.shape[:2], inner) > 0.5
    assert changed[area].mean() > 0.95
    assert changed.sum() < 2.2 * area.sum()


def test_a_crop_of_the_own_scale_is_the_picture_itself():
    old = picture()
    matrix_23 = np.array([[1.0, 0, -100], [0, 1.0, -60]])
    np.testing.assert_array_equal(inside.crop(old, matrix_23), old[60:124, 100:196])


def test_a_crop_of_a_large_picture_is_averaged_and_of_a_small_one_enlarged_without_a_shift():
    old = picture((256, 384))
    for factor in (0.5, 4.0):
        other = cv2.resize(
            old, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        )
        matrix_23 = np.array([[1.0, 0, -100], [0, 1.0, -60]])
        away = inside.crop(other, matrix_23 @ np.diag([1 / factor, 1 / factor, 1])).astype(float) - old[60:124, 100:196]
        assert np.abs(away).mean() < 3


def test_the_grain_is_that_of_the_picture_around():
    made, weight_HW = np.full((60, 90, 3), 80.0, np.float32), np.zeros((60, 90), np.float32)
    weight_HW[20:40, 30:60] = 1
    noise_HW3 = np.repeat(np.random.default_rng(0).normal(0, 2.5, (60, 90, 1)), 3, axis=2).astype(np.float32)
    assert not inside.grain(made, made, weight_HW).any()
    assert inside.grain(made + noise_HW3, made, weight_HW)[20:40, 30:60].std() == pytest.approx(2.5, rel=0.25)


def test_lips_outside_the_picture_change_nothing(net):
    old, (inner, outer) = picture(), lips(100, (900, 120))
    assert (inside.paint(net, old, inner, outer, turn(100), 1.0) == old).all()


def test_without_a_network_the_inside_is_dark():
    old, (inner, outer) = np.full((240, 320, 3), 200, np.uint8), lips(100, (160, 120))
    assert (inside.filled_in(None, old, inner, outer, turn(100), 1.0)[120, 160] == 76).all()
