"""The lip refiner: geometry, weights, training examples, augmentation."""

import hashlib
import json

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from model import lips, seeds
from model.head_mesh import EYES
from model.lips import FACING, LIPS, MIRROR, LipNet
from tasks.core.errors import UserError
from tasks.features import lip_refiner, mesh_model
from tasks.features.lip_refiner import RELEASED, LipRefiner
from tasks.lips import augment, examples, measure, reference, rendered, stage
from tasks.lips.examples import Examples
from tasks.synthetic import identity
from tasks.synthetic.head import Head
from tasks.synthetic.mouth import Mouth
from tasks.synthetic.picture import Pose

GRID = ROOT.parent / "shared/grid"
needs_model = pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`")
needs_grid = pytest.mark.skipif(not GRID.is_dir(), reason="needs the GRID clips in ../shared/grid")


def a_mesh(seed=0):
    mesh = np.random.default_rng(seed).uniform(80, 160, (1, 468, 3))
    mesh[0, EYES[0]], mesh[0, EYES[1]] = (90, 100, 5), (150, 104, 0)
    return mesh


# Geometry


@given(
    scale=st.floats(0.2, 5), turn=st.floats(-3, 3), x=st.floats(-500, 500), y=st.floats(-500, 500),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_networks_input_does_not_depend_on_the_faces_place_size_or_roll(scale, turn, x, y, seed):
    mesh = a_mesh(seed)
    turned = mesh * scale
    cos, sin = np.cos(turn), np.sin(turn)
    turned[..., :2] = turned[..., :2] @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
    transformed, original = (lips.to_units(m[:, LIPS, :2], lips.placements(m)) for m in (turned, mesh))
    assert np.allclose(transformed, original, atol=1e-6)


def test_the_eyes_are_one_unit_apart_and_level():
    mesh = a_mesh()
    mesh[0, EYES, 2] = 0
    left, right = lips.to_units(mesh[:, EYES, :2], lips.placements(mesh))[0]
    assert right - left == pytest.approx([1, 0])


def test_to_frame_is_the_inverse_of_to_units():
    mesh = a_mesh()
    to_crop = lips.placements(mesh)
    points = mesh[:, LIPS, :2]
    assert np.allclose(lips.to_frame(lips.to_units(points, to_crop), to_crop), points)


def test_mirroring_twice_is_the_identity_and_upper_points_stay_upper():
    assert (MIRROR[MIRROR] == np.arange(40)).all()
    assert {(MIRROR[low], MIRROR[up]) for low, up in FACING} == set(FACING)
    assert MIRROR[0] == 10 and MIRROR[20] == 30 and MIRROR[35] == 35  # corners change sides


def test_an_untrained_network_returns_the_meshs_points_with_closed_lips():
    points = torch.randn(3, 40, 2)
    untrained = LipNet().eval()(torch.rand(3, 3, lips.HEIGHT_PX, lips.WIDTH_PX), points)
    assert torch.equal(untrained, lips.closed(points)) and lips.gaps(untrained).abs().max() == 0


def test_the_loss_is_least_at_the_truth_and_penalises_a_closed_mouth():
    truth = torch.randn(2, 40, 2)
    closed = truth.clone()
    for low, up in FACING:
        closed[:, low] = closed[:, up]
    moved = truth + (closed - truth).norm(dim=-1).mean() * torch.tensor([1.0, 0.0])
    assert lips.loss(truth, truth) < 0.02
    assert lips.loss(closed, truth) > lips.loss(truth, truth) + 0.1
    assert lips.gaps(closed).abs().max() == 0 and torch.allclose(lips.gaps(moved), lips.gaps(truth), atol=1e-5)


# Weights


def error_message(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("num", [1, 13, 25])
def test_any_number_of_threads_gives_the_same_bytes(num):
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (num, 48, 64, 3), np.uint8)
    mesh = rng.normal(100, 30, (num, 468, 3)).astype(np.float32)
    before, refined = torch.get_num_threads(), []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        refined.append(lip_refiner.released()(crops, mesh).tobytes())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert len(set(refined)) == 1


def test_the_released_weights_are_those_that_the_json_describes():
    about = json.loads(RELEASED.with_suffix(".json").read_text())
    assert hashlib.sha256(RELEASED.read_bytes()).hexdigest() == about["sha256"]
    assert RELEASED.stat().st_size < 1_000_000
    assert about["mesh"]["sha256"] == mesh_model.SHA256
    people = about["people"]
    assert not set(people["train"]) & {*people["val"], *people["test"]}
    assert about["metrics"]["test"]["mean"]["opening_r"] >= 0.95
    assert 0.9 <= about["metrics"]["test"]["mean"]["opening_amplitude"] <= 1.1


@pytest.mark.parametrize("num_bytes", [0, 1000, 500_000])
def test_truncated_weights_are_user_errors(tmp_path, num_bytes):
    cut = tmp_path / "lips.safetensors"
    cut.write_bytes(RELEASED.read_bytes()[:num_bytes])
    assert "not the lip refiner's weights" in error_message(LipRefiner, cut)


def test_weights_of_another_network_are_user_errors(tmp_path):
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    assert "not the lip refiner's weights" in error_message(LipRefiner, tmp_path / "other.safetensors")


def test_missing_weights_are_user_errors(tmp_path):
    assert "are missing" in error_message(lip_refiner.load, tmp_path / "none.safetensors")


def test_only_the_lips_move_and_the_input_mesh_is_unchanged():
    mesh = a_mesh().astype(np.float32)
    before = mesh.copy()
    crops = np.random.default_rng(1).integers(0, 255, (1, lips.HEIGHT_PX, lips.WIDTH_PX, 3), np.uint8)
    refined = lip_refiner.released()(crops, mesh)
    moved = (refined != mesh).any(axis=2)[0]
    assert set(np.flatnonzero(moved)) <= set(LIPS) and moved.any()
    assert (mesh == before).all() and (refined[..., 2] == mesh[..., 2]).all()


def test_a_frame_is_refined_alike_alone_and_in_a_batch():
    rng = np.random.default_rng(2)
    mesh = np.repeat(a_mesh(), 70, axis=0) + rng.normal(0, 1, (70, 468, 3))
    crops = rng.integers(0, 255, (70, lips.HEIGHT_PX, lips.WIDTH_PX, 3), np.uint8)
    together = lip_refiner.released()(crops, mesh)
    assert np.abs(lip_refiner.released()(crops[66:67], mesh[66:67]) - together[66:67]).max() < 1e-3


# Rendered mouths


def lips_of(mouth, number=3):
    head = Head(identity.draw(seeds.derive(1, "mouth", number)))
    on_head = rendered.lip_anchors(head).on(head.positions(mouth))
    return head.person, rendered.on_film(on_head, Pose(), 100.0, 400)


def test_a_closed_rendered_mouth_has_no_gap_and_an_open_one_the_requested_gap():
    _, closed = lips_of(Mouth())
    person, opened = lips_of(Mouth(opening=0.2))
    assert abs(measure.opening(closed[None])[0]) < 1.0  # px of a head 150 px wide
    assert measure.opening(opened[None])[0] == pytest.approx(0.2 * person.height * 100, rel=0.15)


def test_rendered_lip_points_are_in_the_meshs_order():
    person, points = lips_of(Mouth(opening=0.1))
    outer, inner = points[:20], points[20:]
    for ring in (outer, inner):
        assert ring[0, 0] == ring[:, 0].min() and ring[10, 0] == ring[:, 0].max()
        assert (ring[1:10, 1] > ring[11:20, 1][::-1]).all()  # below, above
    assert (outer[1:10, 1] > inner[1:10, 1]).all() and (outer[11:20, 1] < inner[11:20, 1]).all()
    assert np.ptp(outer[:, 0]) == pytest.approx(
        2 * person.mouth_width * 100, rel=0.15
    )  # the mouth is nearer to the camera than the head


def test_rendered_lip_points_lie_on_the_rendered_lips():
    """The inside of a wide open mouth differs from the skin below it: it is dark or shows teeth."""
    frame = next(
        s for n in range(40) for s in rendered.film(5, n) if s.mouth.opening > 0.2 and abs(s.pose.yaw_deg) < 15
    )
    inner = frame.lips_402[20:]
    skin = frame.lips_402[5] + (frame.lips_402[5] - frame.lips_402[25])  # below the lower lip, as far again
    inside = frame.rgb_SS3[tuple(inner.mean(axis=0).astype(int)[::-1])].astype(int)
    below = frame.rgb_SS3[tuple(skin.astype(int)[::-1])].astype(int)
    assert np.abs(inside - below).sum() > 60


@needs_model
def test_the_refiner_beats_the_mesh_alone_on_rendered_lips():
    refined = measure.rendered_heads(7, 0, 12, lip_refiner.released())
    alone = measure.rendered_heads(7, 0, 12, None)
    assert refined.opening_r > 0.95 and refined.point_error < 0.7 * alone.point_error


# Augmentation


def dotted(num=6, seed=0):
    """Crops with a white disc at four of the lip points, and the points."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-0.25, 0.25, (num, 40, 2)).astype(np.float32)
    truth[:, 4:] = 0
    for one in truth:
        one[:4] = rng.uniform(-0.04, 0.04, (4, 2))
        one[:4] += [(-0.25, -0.1), (0.25, -0.12), (-0.2, 0.2), (0.22, 0.18)]
    crops = np.zeros((num, examples.WIDE_PX, examples.WIDE_PX, 3), np.uint8)
    for crop, points in zip(crops, truth, strict=True):
        for x, y in points[:4] * examples.WIDE_PX_PER_EYE + examples.WIDE_PX / 2 - 0.5:
            cv2.circle(crop, (round(x * 256), round(y * 256)), 3 * 256, (255, 255, 255), -1, cv2.LINE_AA, 8)
    return Examples(crops, truth.copy(), truth)


def test_points_move_with_their_pixels():
    dots = dotted()
    wide = torch.from_numpy(dots.crops_NSS3).permute(0, 3, 1, 2).float() / 255
    rng = torch.Generator().manual_seed(5)
    truth = torch.from_numpy(dots.truth_N402)
    crops, _, moved = augment._placed(wide, truth.clone(), truth, rng)
    places = augment._places()
    for crop, points in zip(crops, moved, strict=True):
        for point in points[:4]:
            weight = crop[0] * ((places - point).norm(dim=-1) < 0.12)
            if weight.sum() < 5:  # moved out of the crop
                continue
            middle = (places * weight[..., None]).sum((0, 1)) / weight.sum()
            assert (middle - point).norm() * lips.PX_PER_EYE < 1.0


def test_the_same_seed_gives_the_same_batch():
    dots = dotted()
    one, other, third = (augment.batch(dots, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[0], third[0])
    assert one[0].shape == (6, 3, lips.HEIGHT_PX, lips.WIDTH_PX) and 0 <= one[0].min() and one[0].max() <= 1


def test_the_same_training_gives_the_same_bytes():
    sources = {name: dotted(4, seed) for seed, name in enumerate(stage.SHARES)}
    one, other = (stage._stored(stage.train(sources, 2)) for _ in range(2))
    assert one == other and len(one) < 1_000_000


# Real mouths


@needs_grid
def test_the_reference_has_40_lip_points_and_a_video_for_each_clip():
    for person in (*reference.TRAIN, *reference.VAL, *reference.TEST):
        assert all(clip.truth_T402.shape[1:] == (40, 2) for clip in reference.clips(GRID, person))


def test_a_missing_reference_or_video_and_wrong_points_are_user_errors(tmp_path):
    (tmp_path / "reference").mkdir()
    (tmp_path / "video/p01").mkdir(parents=True)
    assert "no such reference" in error_message(reference.clips, tmp_path, "p01")
    points = [*LIPS.tolist(), *EYES]
    np.savez(tmp_path / "reference/p01.npz", points=points, abc=np.zeros((3, 42, 2)))
    assert "no video of abc" in error_message(reference.clips, tmp_path, "p01")
    np.savez(tmp_path / "reference/p01.npz", points=points[::-1], abc=np.zeros((3, 42, 2)))
    assert "not the lip points" in error_message(reference.clips, tmp_path, "p01")


@needs_grid
@needs_model
@pytest.mark.parametrize("person", ["p04", "s27"])
def test_lips_of_unseen_people_match_the_reference(person):
    clip = reference.clips(GRID, person)[0]
    refined = measure.clip(clip, lip_refiner.released())
    assert refined.opening_r > 0.9 and 0.75 < refined.opening_amplitude < 1.25
    assert refined.middle_near > 0.98
    assert refined.point_error < measure.clip(clip, None).point_error
