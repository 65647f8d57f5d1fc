"""Loss terms: float32 in and out, on the device of their inputs, without a loop over the batch.

Shape letters: B batch, S side of the face crop
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive(distance_B: Tensor, synced_B: Tensor, margin: float) -> Tensor:
    """Pulls pairs in sync to distance 0, pushes the others `margin` apart; mean over the batch, 0-dim.

    d^2 if in sync, otherwise max(0, margin - d)^2.
    Shape:  distance_B (B,) >= 0; synced_B (B,) bool, or float in [0, 1] for soft labels
    Source: Hadsell et al. 2006, eq. 4, as LipGAN uses it: its paper has margin 2, its code 1. Unrelated vectors of
            length 1 are about 1.41 apart, so margin 1 gives most negatives no gradient at all.
    """
    synced_B = synced_B.to(distance_B.dtype)
    return (synced_B * distance_B.square() + (1 - synced_B) * F.relu(margin - distance_B).square()).mean()


def zero_gradient_share(negative_distance_B: Tensor, margin: float) -> Tensor:
    """Share of the unsynced pairs without a gradient, already `margin` apart: 0-dim in [0, 1]."""
    return (negative_distance_B >= margin).float().mean()


def lip_mask(mouth_B4: Tensor, size: int) -> Tensor:
    """Mask of the pixels in the lip boxes (left, top, right, bottom; the last two exclusive).

    Shape: (B, 4) int -> (B, 1, S, S) bool
    """
    at_S = torch.arange(size, device=mouth_B4.device)
    left_B1, top_B1, right_B1, bottom_B1 = mouth_B4.split(1, dim=1)
    in_column_BS = (at_S >= left_B1) & (at_S < right_B1)
    in_row_BS = (at_S >= top_B1) & (at_S < bottom_B1)
    return (in_row_BS.unsqueeze(2) & in_column_BS.unsqueeze(1)).unsqueeze(1)


def weighted_l1(generated_B3SS: Tensor, target_B3SS: Tensor, weight_B1SS: Tensor) -> Tensor:
    """Weighted mean absolute difference of each picture, then the mean over pictures: 0-dim.

    A picture's weights are normalised by their own sum: equal weights are plain L1, and the rest of the batch does not
    change a picture's share. A picture with weights of 0 counts as 0.
    """
    difference_B1SS = (generated_B3SS.float() - target_B3SS.float()).abs().mean(dim=1, keepdim=True)
    weight_B1SS = weight_B1SS.float()
    total_B = (difference_B1SS * weight_B1SS).sum(dim=(1, 2, 3))
    return (total_B / weight_B1SS.sum(dim=(1, 2, 3)).clamp_min(1e-6)).mean()


def lip_weighted_l1(generated_B3SS: Tensor, target_B3SS: Tensor, mouth_B4: Tensor, alpha: float) -> Tensor:
    """L1 in which a pixel of the lip box weighs `alpha` times any other; alpha 1 is plain L1. 0-dim in [0, 1].

    Source: LipGAN's authors: with alpha > 1 the first epochs shape the mouth, which is 4 % of the face.
    """
    mask_B1SS = lip_mask(mouth_B4, target_B3SS.shape[-1])
    return weighted_l1(generated_B3SS, target_B3SS, 1 + (alpha - 1) * mask_B1SS.float())


def mouth_l1(generated_B3SS: Tensor, target_B3SS: Tensor, mouth_B4: Tensor) -> Tensor:
    """L1 inside the lip boxes alone: 0-dim in [0, 1], lower is better."""
    return weighted_l1(generated_B3SS, target_B3SS, lip_mask(mouth_B4, target_B3SS.shape[-1]))
