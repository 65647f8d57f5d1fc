"""A mouth opened further: tasks/lips/gape.py, and the even choice of openings."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model import lips
from model.head_mesh import LOWER_INNER, UPPER_INNER
from tasks.lips import augment, measure, stage
from tasks.lips.examples import WIDE_PX, WIDE_PX_PER_EYE, Examples
from tasks.lips.gape import Gape


def mouth(half_gap, half_width=0.2, thick=0.06):
    """40 lip points of an elliptic mouth.  Shape: -> (1, 40, 2)"""
    angle = np.pi * (1 - np.arange(20) / 10)  # left corner, lower lip, right corner, upper lip
    inner = np.stack([half_width * np.cos(angle), half_gap * np.sin(angle)], axis=1)
    outer = np.stack([1.2 * half_width * np.cos(angle), (half_gap + thick) * np.sin(angle)], axis=1)
    return torch.from_numpy(np.concatenate([outer, inner])[None].astype(np.float32))


def opening(points):
    return float(lips.gaps(points)[0, 0, 1])


@given(factor=st.floats(0.4, 2.5), half_gap=st.floats(0, 0.15))
def test_the_gap_is_multiplied_and_the_lips_keep_their_thickness(factor, half_gap):
    points = mouth(half_gap)
    opened = Gape.of(points, torch.tensor([factor])).opened(points)
    assert opening(opened) == pytest.approx(2 * half_gap * factor, abs=1e-5)
    for outer, inner in ((5, 25), (15, 35)):
        before, after = (float((of[0, outer] - of[0, inner]).norm()) for of in (points, opened))
        assert after == pytest.approx(before, abs=1e-5)
    assert torch.equal(opened[..., 0], points[..., 0])


@given(factor=st.floats(0.4, 2.5), half_gap=st.floats(0, 0.15), seed=st.integers(0, 99))
def test_filmed_is_the_inverse_of_opened(factor, half_gap, seed):
    gape = Gape.of(mouth(half_gap), torch.tensor([factor]))
    anywhere = torch.rand(1, 50, 2, generator=torch.Generator().manual_seed(seed)) - 0.5
    assert torch.allclose(gape.filmed(gape.opened(anywhere)), anywhere, atol=1e-5)


def test_a_head_turned_so_far_that_lip_points_cross_gives_finite_points():
    points = mouth(0.05)
    points[..., 0] *= -1
    assert torch.isfinite(Gape.of(points, torch.tensor([2.0])).opened(points)).all()


def test_the_picture_above_and_below_an_opened_mouth_moves_with_its_points(monkeypatch):
    for name, value in {"GAPED": 1.0, "WIDER": (0.5, 0.5), "BEND_PX": 0.0, "MOVE": 0.0, "TURN_RAD": 0.0}.items():
        monkeypatch.setattr(augment, name, value)
    truth, picture = mouth(0.05), np.zeros((WIDE_PX, WIDE_PX, 3), np.uint8)
    for at in (5, 15):  # middle of the outer lower and upper lip
        x, y = (truth[0, at].numpy() * WIDE_PX_PER_EYE + WIDE_PX / 2 - 0.5) * 256
        cv2.circle(picture, (round(float(x)), round(float(y))), 3 * 256, (255, 255, 255), -1, cv2.LINE_AA, 8)
    wide = torch.from_numpy(picture[None]).permute(0, 3, 1, 2).float() / 255
    crops, _, moved = augment._placed(wide, truth, truth, torch.Generator().manual_seed(0))
    places = augment._places()
    for at in (5, 15):
        weight = crops[0, 0] * ((places - moved[0, at]).norm(dim=-1) < 0.09)
        middle = (places * weight[..., None]).sum((0, 1)) / weight.sum()
        assert (middle - moved[0, at]).norm() * lips.PX_PER_EYE < 1.0


def test_closed_joins_the_inner_lips_alone():
    points = mouth(0.1)
    closed = lips.closed(points)
    assert torch.equal(closed[:, list(LOWER_INNER)], closed[:, list(UPPER_INNER)])
    others = sorted(set(range(40)) - {*LOWER_INNER, *UPPER_INNER})
    assert torch.equal(closed[:, others], points[:, others])


def test_the_gain_multiplies_the_opening_and_a_gain_of_1_changes_no_bit():
    points = mouth(0.05) + torch.rand(1, 40, 2, generator=torch.Generator().manual_seed(0)) / 100
    assert torch.equal(lips.apart(points, torch.tensor(1.0)), points)
    wider = lips.apart(points, torch.tensor(1.2))
    assert torch.allclose(lips.gaps(wider), 1.2 * lips.gaps(points), atol=1e-6)
    assert torch.equal(wider[:, :20], points[:, :20])


def test_the_networks_answer_does_not_depend_on_how_far_the_mesh_opens_the_lips():
    net = lips.LipNet().eval()
    torch.nn.init.normal_(net.out.weight)
    crops = torch.rand(1, 3, lips.HEIGHT_PX, lips.WIDTH_PX, generator=torch.Generator().manual_seed(0))
    narrow, wide = mouth(0.02), mouth(0.1)
    narrow[:, :20] = wide[:, :20]
    assert torch.allclose(net(crops, narrow), net(crops, wide), atol=1e-6)


def test_rare_openings_are_drawn_more_often_and_every_mouth_can_be_drawn():
    truth = torch.cat([mouth(0.001)] * 90 + [mouth(0.08)] * 10).numpy()
    assert measure.opening(truth)[-1] == pytest.approx(0.16, abs=1e-3)
    chances = stage.opening_chances(Examples(np.zeros((100, 1, 1, 3), np.uint8), truth, truth))
    assert chances.sum() == pytest.approx(1) and chances.min() > 0
    assert chances[90:].sum() == pytest.approx(stage.EVENLY / 2 + (1 - stage.EVENLY) / 10)
