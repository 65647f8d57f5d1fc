import pytest
import torch

from model.losses import contrastive, lip_mask, lip_weighted_l1, mouth_l1, zero_gradient_share

DISTANCE = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0])
BOXES = torch.tensor([[2, 3, 6, 5], [0, 0, 8, 8], [7, 7, 8, 8]], dtype=torch.int16)


def test_the_loss_of_synced_pairs_is_their_squared_distance():
    each = [contrastive(d[None], torch.tensor([True]), margin=2.0).item() for d in DISTANCE]
    assert each == [0.0, 0.25, 1.0, 2.25, 4.0]


@pytest.mark.parametrize(("margin", "expected"), [(1.0, [1, 0.25, 0, 0, 0]), (2.0, [4, 2.25, 1, 0.25, 0])])
def test_the_loss_of_other_pairs_is_the_squared_distance_to_the_margin(margin, expected):
    each = [contrastive(d[None], torch.tensor([False]), margin).item() for d in DISTANCE]
    assert each == expected


def test_the_loss_is_the_mean_over_pairs_of_both_kinds():
    synced = torch.tensor([True, False, True, False, False])
    assert contrastive(DISTANCE, synced, 1.0).item() == pytest.approx((0 + 0.25 + 1 + 0 + 0) / 5)
    assert contrastive(DISTANCE, synced.float(), 1.0) == contrastive(DISTANCE, synced, 1.0)


def test_the_loss_of_a_soft_label_lies_between_the_two():
    half = contrastive(torch.tensor([0.5]), torch.tensor([0.5]), 2.0)
    assert half.item() == pytest.approx((0.25 + 2.25) / 2)


@pytest.mark.parametrize(("margin", "share"), [(1.0, 0.6), (1.2, 0.4), (2.0, 0.2)])
def test_the_share_without_gradient_is_the_share_whose_gradient_is_zero(margin, share):
    distance = DISTANCE.clone().requires_grad_()
    contrastive(distance, torch.zeros(5), margin).backward()
    assert zero_gradient_share(DISTANCE, margin).item() == pytest.approx(share)
    assert (distance.grad == 0).float().mean().item() == pytest.approx(share)


def test_orthogonal_negatives_have_a_gradient_with_margin_2_and_none_with_margin_1():
    orthogonal = torch.full((8,), 2**0.5)
    assert zero_gradient_share(orthogonal, 1.0) == 1
    assert zero_gradient_share(orthogonal, 2.0) == 0


def test_the_mask_is_the_box_with_its_far_sides_left_out():
    mask = lip_mask(BOXES, 8)
    assert (mask.shape, mask.dtype) == ((3, 1, 8, 8), torch.bool)
    for picture, (left, top, right, bottom) in zip(mask[:, 0], BOXES.tolist(), strict=True):
        by_hand = torch.zeros(8, 8, dtype=torch.bool)
        by_hand[top:bottom, left:right] = True
        assert torch.equal(picture, by_hand)


@pytest.fixture
def faces():
    rng = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 8, 8, generator=rng), torch.rand(3, 3, 8, 8, generator=rng)


def test_alpha_1_is_plain_l1(faces):
    plain = (faces[0] - faces[1]).abs().mean()
    assert lip_weighted_l1(*faces, BOXES, alpha=1.0).item() == pytest.approx(plain.item(), rel=1e-6)


def test_a_lip_pixel_weighs_alpha_times_another():
    black = torch.zeros(1, 3, 8, 8)
    lip, cheek = black.clone(), black.clone()
    lip[:, :, 4, 4] = 1
    cheek[:, :, 0, 0] = 1
    by_lip, by_cheek = (lip_weighted_l1(x, black, BOXES[:1], alpha=6.0) for x in (lip, cheek))
    assert by_lip.item() == pytest.approx(6 / (64 + 5 * 8))
    assert by_cheek.item() == pytest.approx(1 / (64 + 5 * 8))


def test_a_picture_wrong_everywhere_costs_the_same_at_any_alpha(faces):
    for alpha in (1.0, 6.0, 100.0):
        assert lip_weighted_l1(torch.ones(3, 3, 8, 8), torch.zeros(3, 3, 8, 8), BOXES, alpha).item() == pytest.approx(1)


def test_a_pictures_loss_does_not_depend_on_its_batch(faces):
    alone = [lip_weighted_l1(*(x[k : k + 1] for x in (*faces, BOXES)), alpha=6.0) for k in range(3)]
    assert lip_weighted_l1(*faces, BOXES, alpha=6.0).item() == pytest.approx(sum(x.item() for x in alone) / 3)


def test_mouth_l1_sees_the_box_alone(faces):
    generated, target = faces
    by_hand = [
        (generated[k, :, top:bottom, left:right] - target[k, :, top:bottom, left:right]).abs().mean()
        for k, (left, top, right, bottom) in enumerate(BOXES.tolist())
    ]
    assert mouth_l1(generated, target, BOXES).item() == pytest.approx(sum(x.item() for x in by_hand) / 3)
    outside = torch.where(lip_mask(BOXES, 8), generated, 1 - generated)
    assert mouth_l1(outside, target, BOXES) == mouth_l1(generated, target, BOXES)


def test_an_empty_box_counts_as_nothing_and_not_as_nan(faces):
    assert mouth_l1(*faces, torch.zeros(3, 4, dtype=torch.int16)) == 0


def test_bf16_pictures_are_compared_in_float32(faces):
    low = faces[0].bfloat16()
    loss = lip_weighted_l1(low, faces[1], BOXES, alpha=6.0)
    assert loss.dtype == torch.float32
    assert loss == lip_weighted_l1(low.float(), faces[1], BOXES, alpha=6.0)
