"""The mouth's inside: a network that paints teeth, tongue and dark between lips which a warp has opened.

It sees a crop of the warped picture around the mouth, upright and of one scale, with masks of the wanted lips, and
returns the same crop with another inside. Nothing but the inside and a narrow soft edge is taken from it.

Shape letters: B crops, H = 64 and W = 96 pixels of a crop
"""

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEIGHT, WIDTH = 64, 96
PX_PER_EYES = 100.0  # of a crop: pixels in the distance of the outer eye corners, about that of a face 190 px wide
SOFT_GROW_PX, SOFT_SIGMA_PX = 2.0, 1.2  # of a crop: how far the painted area exceeds the inner lips, and its edge
NUM_INPUTS = 5  # RGB, the area between the inner lips, the area within the outer lips


class InsideNet(nn.Module):
    """A U-Net over three scales that adds a change to the warped picture; the first layer halves, the last doubles.

    Source: Ronneberger et al. 2015; upscaling by pixel shuffle after Shi et al. 2016
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 4 * width
        self.first = nn.Conv2d(NUM_INPUTS, a, 5, 2, 2)
        self.first_more = nn.Conv2d(a, a, 3, 1, 1)
        self.second = nn.Conv2d(a, b, 3, 2, 1)
        self.second_more = nn.Conv2d(b, b, 3, 1, 1)
        self.third = nn.Conv2d(b, c, 3, 2, 1)
        self.deep = nn.ModuleList(nn.Conv2d(c, c, 3, 1, dilation, dilation) for dilation in (1, 2, 1))
        self.up_second = nn.Conv2d(c + b, b, 3, 1, 1)
        self.up_first = nn.Conv2d(b + a, a, 3, 1, 1)
        self.shuffled = nn.Conv2d(a, 4 * 12, 3, 1, 1)
        self.last = nn.Conv2d(12 + NUM_INPUTS, 3, 3, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(Tensor, self.last.bias))

    def forward(self, inputs_B5HW: Tensor) -> Tensor:
        """Shape: (B, 5, H, W) in [0, 1], H and W multiples of 8 -> (B, 3, H, W), about [0, 1]"""
        first = F.gelu(self.first(inputs_B5HW))
        first = first + F.gelu(self.first_more(first))
        second = F.gelu(self.second(first))
        second = second + F.gelu(self.second_more(second))
        x = F.gelu(self.third(second))
        for conv in self.deep:
            x = x + F.gelu(conv(x))
        x = F.gelu(self.up_second(torch.cat([_doubled(x), second], dim=1)))
        x = F.gelu(self.up_first(torch.cat([_doubled(x), first], dim=1)))
        x = F.gelu(F.pixel_shuffle(self.shuffled(x), 2))
        return inputs_B5HW[:, :3] + cast(Tensor, self.last(torch.cat([x, inputs_B5HW], dim=1)))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def alignment(inner_202: np.ndarray, turn_33: np.ndarray) -> np.ndarray:
    """The similarity from a frame to the crop: upright, centred between the lips, PX_PER_EYES.

    inner_202  the wanted inner lips, px of the frame, pixel i covers [i, i + 1)
    turn_33    of the head: model.head_track.Heads
    Shape:     -> (2, 3), of positions in the same convention
    """
    across_2 = turn_33[0, :2]
    scale, angle = PX_PER_EYES / float(np.linalg.norm(turn_33[0])), math.atan2(across_2[1], across_2[0])
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turned_22 = np.array([[cos, sin], [-sin, cos]])
    shift_2 = np.array([WIDTH / 2, HEIGHT / 2]) - turned_22 @ inner_202.mean(axis=0)
    return np.concatenate([turned_22, shift_2[:, None]], axis=1)


@torch.inference_mode()
def painted(net: InsideNet, crop_HW3: np.ndarray, inner_HW: np.ndarray, lips_HW: np.ndarray) -> np.ndarray:
    """Shape: (H, W, 3) uint8, masks (H, W) float32 in [0, 1] -> (H, W, 3) float32 in [0, 255]"""
    planes_5HW = np.concatenate([crop_HW3.transpose(2, 0, 1).astype(np.float32) / 255, inner_HW[None], lips_HW[None]])
    made_3HW = net(torch.from_numpy(planes_5HW)[None])[0].float()
    return (made_3HW.clamp(0, 1) * 255).permute(1, 2, 0).contiguous().numpy()
