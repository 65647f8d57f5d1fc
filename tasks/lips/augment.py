"""Augmentation of mouths: rotation, shift, shape, light, small size, blur, noise, compression.

All randomness comes from one torch generator: same seed, same batches.
"""

import cv2
import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from model.lips import HEIGHT_PX, MIRROR, PX_PER_EYE, WIDTH_PX
from tasks.lips.examples import WIDE_PX, WIDE_PX_PER_EYE, Examples
from tasks.lips.gape import Gape

TURN_RAD, TURN_FAR, FAR = 0.16, 2.5, 0.15  # a share FAR is rotated TURN_FAR times as far
LARGER, NARROWER, SHEAR = (-0.16, 0.18), 0.13, 0.12  # log scale, log aspect; shear relative to height
MOVE = 0.045  # eye distances
GAPED, WIDER = 0.5, (-0.5, 0.5)  # share, log factor of the opening: tasks/lips/gape.py
BEND_PX, BEND_CELLS = 1.6, (4, 5)  # smooth displacement
MESH_MOVE, MESH_WIDE, MESH_HIGH = 0.03, 0.06, 0.12  # extra mesh error: on other people it varies more than on these
GREY, SATURATION, TINT, GAMMA = 0.12, (0.4, 1.5), 0.18, 0.45
CONTRAST, LIGHTER, SLOPE = (0.35, 1.15), 0.06, 0.8
TOGETHER = 6  # mouths per degradation draw
SMALL, SMALLEST = 0.35, 0.2  # share; least size relative to the crop: mouths of about 8 px
BLURRED, BLUR_PX = 0.25, (0.4, 1.6)
NOISY, NOISE = 0.6, 0.04
COMPRESSED, QUALITY = 0.3, (15, 90)


def batch(examples: Examples, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Shape: N examples -> crops (N, 3, HEIGHT_PX, WIDTH_PX) in [0, 1], mesh (N, 40, 2), truth (N, 40, 2)"""
    wide = torch.from_numpy(examples.crops_NSS3).permute(0, 3, 1, 2).float() / 255
    mesh, truth = torch.from_numpy(examples.mesh_N402), torch.from_numpy(examples.truth_N402)
    crops, mesh, truth = _mirrored(*_placed(wide, mesh, truth, rng), rng)
    return _all_degraded(_lit(crops, rng), rng).clamp(0, 1), _mesh_error(mesh, rng), truth


def _uniform(low: float, high: float, shape: tuple[int, ...], rng: Generator) -> Tensor:
    return torch.rand(shape, generator=rng) * (high - low) + low


def _even(most: float, shape: tuple[int, ...], rng: Generator) -> Tensor:
    return _uniform(-most, most, shape, rng)


def _chance(share: float, num: int, rng: Generator) -> Tensor:
    return torch.rand(num, generator=rng) < share


def _placed(wide: Tensor, mesh: Tensor, truth: Tensor, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the network's crop from a wide one by an affine map and a smooth displacement; map the points too."""
    num = len(wide)
    turn = _even(TURN_RAD, (num,), rng) * (1 + (TURN_FAR - 1) * _chance(FAR, num, rng))
    larger, narrower = torch.exp(_uniform(*LARGER, (num,), rng)), torch.exp(_even(NARROWER, (num,), rng))
    shear = _even(SHEAR, (num,), rng)
    cos, sin = larger * torch.cos(turn), larger * torch.sin(turn)
    rows = [torch.stack([cos * narrower, -sin / narrower + shear * larger], 1)]
    rows.append(torch.stack([sin * narrower, cos / narrower], 1))
    to_wide, move = torch.stack(rows, 1), torch.randn(num, 1, 2, generator=rng) * MOVE
    bends = torch.randn(num, 2, *BEND_CELLS, generator=rng) * _uniform(0, BEND_PX / PX_PER_EYE, (num, 1, 1, 1), rng)
    places = _places().view(1, -1, 2).expand(num, -1, -1)
    factor = torch.exp(_uniform(*WIDER, (num,), rng) * _chance(GAPED, num, rng))
    gape = Gape.of(truth, factor)
    sampled = gape.filmed(torch.einsum("bij,bnj->bni", to_wide, places + _bent(bends, places)) + move)
    sampled = (sampled * (2 * WIDE_PX_PER_EYE / WIDE_PX)).view(num, HEIGHT_PX, WIDTH_PX, 2)
    crops = F.grid_sample(wide, sampled, padding_mode="border", align_corners=False)
    back = torch.linalg.inv(to_wide)
    mesh, truth = gape.opened(mesh), gape.opened(truth)
    return crops, _carried(mesh, back, move, bends), _carried(truth, back, move, bends)


def _places() -> Tensor:
    """Centres of the crop's pixels, in eye distances from its middle.  Shape: -> (HEIGHT_PX, WIDTH_PX, 2)"""
    down, across = (torch.arange(n) + 0.5 - n / 2 for n in (HEIGHT_PX, WIDTH_PX))
    return torch.stack(torch.meshgrid(across, down, indexing="xy"), -1) / PX_PER_EYE


def _bent(bends: Tensor, points: Tensor) -> Tensor:
    """The displacement at points of the crop.  Shape: (B, 2, *BEND_CELLS), (B, N, 2) -> (B, N, 2)"""
    at = points * PX_PER_EYE / torch.tensor([WIDTH_PX / 2, HEIGHT_PX / 2])
    moved = F.grid_sample(bends, at[:, None], mode="bicubic", padding_mode="border", align_corners=True)
    return moved[:, :, 0].transpose(1, 2)


def _carried(points: Tensor, back: Tensor, move: Tensor, bends: Tensor) -> Tensor:
    """Points of a wide crop in the new one: the inverse of the map in `_placed`, by fixed-point iteration."""
    straight = torch.einsum("bij,bnj->bni", back, points - move)
    inverse = straight
    for _ in range(4):
        inverse = straight - _bent(bends, inverse)
    return inverse


def _mirrored(crops: Tensor, mesh: Tensor, truth: Tensor, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    flip = _chance(0.5, len(crops), rng)
    crops[flip] = crops[flip].flip(3)
    for points in (mesh, truth):
        points[flip] = (points[flip] * torch.tensor([-1.0, 1.0]))[:, MIRROR]
    return crops, mesh, truth


def _mesh_error(mesh: Tensor, rng: Generator) -> Tensor:
    num, middle = len(mesh), mesh.mean(1, keepdim=True)
    scale = torch.exp(torch.cat([_even(MESH_WIDE, (num, 1, 1), rng), _even(MESH_HIGH, (num, 1, 1), rng)], 2))
    return middle + (mesh - middle) * scale + torch.randn(num, 1, 2, generator=rng) * MESH_MOVE


def _lit(crops: Tensor, rng: Generator) -> Tensor:
    """Random colour, contrast and light; some without colour."""
    num = len(crops)
    grey = (crops * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    saturation = torch.where(_chance(GREY, num, rng), torch.zeros(num), _uniform(*SATURATION, (num,), rng))
    crops = grey + (crops - grey) * saturation.view(num, 1, 1, 1)
    crops = (crops * torch.exp(_even(TINT, (num, 3, 1, 1), rng))).clamp(0, 1)
    crops = crops ** torch.exp(_even(GAMMA, (num, 1, 1, 1), rng))
    crops = crops * _uniform(*CONTRAST, (num, 1, 1, 1), rng) + _even(LIGHTER, (num, 1, 1, 1), rng)
    across = _places() / (WIDTH_PX / PX_PER_EYE)
    return crops * (1 + (across * _even(SLOPE, (num, 1, 1, 2), rng)).sum(-1)[:, None])


def _all_degraded(crops: Tensor, rng: Generator) -> Tensor:
    return torch.cat([_degraded(crops[start : start + TOGETHER], rng) for start in range(0, len(crops), TOGETHER)])


def _degraded(crops: Tensor, rng: Generator) -> Tensor:
    """Shrunk, blurred, noisy, compressed, each at random, then resized back."""
    small, blurred, noisy, compressed = (torch.rand(4, generator=rng) < torch.tensor(CHANCES)).tolist()
    if small:
        share = SMALLEST ** float(torch.rand((), generator=rng))
        size = max(8, round(HEIGHT_PX * share)), max(10, round(WIDTH_PX * share))
        crops = F.interpolate(crops, size, mode="bilinear", antialias=True, align_corners=False)
    if blurred:
        crops = _blurred(crops, max(0.3, float(_uniform(*BLUR_PX, (), rng)) * crops.shape[3] / WIDTH_PX))
    if noisy:
        crops = crops + torch.randn(crops.shape, generator=rng) * float(_uniform(0, NOISE, (), rng))
    if compressed:
        crops = _compressed(crops, int(_uniform(*QUALITY, (), rng)))
    if crops.shape[2:] != (HEIGHT_PX, WIDTH_PX):
        crops = F.interpolate(crops, (HEIGHT_PX, WIDTH_PX), mode="bilinear", align_corners=False)
    return crops


CHANCES = (SMALL, BLURRED, NOISY, COMPRESSED)


def _blurred(crops: Tensor, sigma_px: float) -> Tensor:
    gauss = torch.exp(-((torch.arange(-3, 4) / sigma_px) ** 2) / 2)
    kernel = (gauss[:, None] * gauss / gauss.sum() ** 2)[None, None]
    height, width = crops.shape[2:]
    planes = F.pad(crops.reshape(-1, 1, height, width), (3, 3, 3, 3), mode="replicate")
    return F.conv2d(planes, kernel).view(crops.shape)


def _compressed(crops: Tensor, quality: int) -> Tensor:
    images = (crops.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    files = [cv2.imencode(".jpg", one, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for one in images]
    decoded_NHW3 = np.array([cv2.imdecode(file, cv2.IMREAD_COLOR) for file in files])
    return torch.from_numpy(decoded_NHW3).permute(0, 3, 1, 2).float() / 255
