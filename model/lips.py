"""The lip refiner: a small network that looks at a mouth and says where its 40 lip points are.

The face mesh opens mouths about half as far as they are open, and on rendered heads its lips lie beside the lips. The
mesh is good enough to say where to look: its lips and eyes place a crop, upright and of the same size for every face;
the network sees the crop and the mesh's own lip points, and moves them.

Points are (x, y) in pixels of the frame, pixel i covers [i, i + 1). In the network's own unit they are distances from
the crop's middle, in eye distances (outer corner to outer corner, depth included, so that a turned head keeps it).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Indices of the mesh. Outer ring: from the left corner of the picture under the mouth to the right one and back above
# it; inner ring: likewise.
OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS = np.array(OUTER + INNER)
EYES = (33, 263)  # outer corners, left and right in the picture

HEIGHT_PX, WIDTH_PX = 48, 64  # of the crop
EYES_ACROSS = 1.1  # eye distances that the crop's width shows
PX_PER_EYE = WIDTH_PX / EYES_ACROSS

# Of the 40: the lower and the upper inner lip that face each other, from the middle outward
FACING = ((25, 35), (24, 36), (26, 34), (23, 37), (27, 33))
MIRROR = np.array([*range(10, -1, -1), *range(19, 10, -1), *range(30, 19, -1), *range(39, 30, -1)])  # left is right

CHANNELS, HIDDEN, DROPOUT = (24, 32, 64, 96), 128, 0.1
STEP = 0.1  # of an eye distance: what 1 at the network's end moves a point
FLAT = 0.02  # deviation of a crop without contrast, which is not to be blown up
SMOOTH, SMOOTH_MIDDLE = 0.004, 0.002  # eye distances: below them the loss is a square, above it a distance


def placements(
    mesh_T4683: np.ndarray, size_hw: tuple[int, int] = (HEIGHT_PX, WIDTH_PX), px_per_eye: float = PX_PER_EYE
) -> np.ndarray:
    """Where the network looks: affine maps from pixels of the frame to pixels of a crop.  Shape: -> (T, 2, 3)"""
    mesh_T4683 = mesh_T4683.astype(np.float64)
    across_T3 = mesh_T4683[:, EYES[1]] - mesh_T4683[:, EYES[0]]
    px_T = px_per_eye / np.maximum(np.linalg.norm(across_T3, axis=1), 1e-6)
    roll_T = np.arctan2(across_T3[:, 1], across_T3[:, 0])
    cos_T, sin_T = px_T * np.cos(roll_T), px_T * np.sin(roll_T)
    turn_T22 = np.stack([np.stack([cos_T, sin_T], 1), np.stack([-sin_T, cos_T], 1)], axis=1)
    middle_T2 = mesh_T4683[:, LIPS, :2].mean(axis=1)
    shift_T2 = np.array(size_hw[::-1]) / 2 - np.einsum("tij,tj->ti", turn_T22, middle_T2)
    return np.concatenate([turn_T22, shift_T2[:, :, None]], axis=2)


def to_units(points_TN2: np.ndarray, placements_T23: np.ndarray) -> np.ndarray:
    """Pixels of the frame -> eye distances from the crop's middle.  Shape: (T, N, 2), (T, 2, 3) -> (T, N, 2)"""
    px_TN2 = np.einsum("tij,tnj->tni", placements_T23[:, :, :2], points_TN2) + placements_T23[:, None, :, 2]
    return (px_TN2 - np.array([WIDTH_PX, HEIGHT_PX]) / 2) / PX_PER_EYE


def to_frame(units_TN2: np.ndarray, placements_T23: np.ndarray) -> np.ndarray:
    """What `to_units` undoes.  Shape: (T, N, 2), (T, 2, 3) -> (T, N, 2)"""
    px_TN2 = units_TN2 * PX_PER_EYE + np.array([WIDTH_PX, HEIGHT_PX]) / 2
    back_T22 = np.linalg.inv(placements_T23[:, :, :2])
    return np.einsum("tij,tnj->tni", back_T22, px_TN2 - placements_T23[:, None, :, 2])


def _conv(num_in: int, num_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(num_in, num_out, 3, stride, 1, bias=False), nn.BatchNorm2d(num_out))


class _Residual(nn.Module):
    def __init__(self, num: int) -> None:
        super().__init__()
        self.first, self.second = _conv(num, num, 1), _conv(num, num, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class LipNet(nn.Module):
    """A crop and the mesh's lip points -> better lip points. 0.34 M weights, 0.4 ms a frame on one core.

    Untrained, it gives the mesh's points back.
    Shape: crops (B, 3, HEIGHT_PX, WIDTH_PX) RGB in [0, 1], points (B, 40, 2) in eye distances -> (B, 40, 2)
    """

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = CHANNELS
        self.to_2nd, self.to_4th, self.at_4th = _conv(3, a, 2), _conv(a, b, 2), _Residual(b)
        self.to_8th, self.at_8th, self.to_16th = _conv(b, c, 2), _Residual(c), _conv(c, d, 2)
        num_features = d * (HEIGHT_PX // 16) * (WIDTH_PX // 16)
        self.drop = nn.Dropout(DROPOUT)
        self.hidden = nn.Linear(num_features + 2 * len(LIPS), HIDDEN)
        self.out = nn.Linear(HIDDEN, 2 * len(LIPS))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, crops: Tensor, points: Tensor) -> Tensor:
        x = crops - crops.mean((2, 3), keepdim=True)  # the light's colour and strength say nothing of the lips
        x = x / (x.std((1, 2, 3), keepdim=True) + FLAT)
        x = self.at_4th(F.relu(self.to_4th(F.relu(self.to_2nd(x)))))
        x = F.relu(self.to_16th(self.at_8th(F.relu(self.to_8th(x)))))
        x = torch.cat([self.drop(x.flatten(1)), points.flatten(1)], dim=1)
        return points + STEP * self.out(F.relu(self.hidden(x))).view_as(points)


def gaps(points: Tensor) -> Tensor:
    """From upper to lower inner lip, middle first.  Shape: (B, 40, 2) -> (B, 5, 2)"""
    lower, upper = zip(*FACING, strict=True)
    return points[:, list(lower)] - points[:, list(upper)]


def loss(points: Tensor, truth: Tensor) -> Tensor:
    """Distance of the points, that of the opening, which everything measures, and of the lips' middle."""
    middle = _distance(points.mean(1), truth.mean(1), SMOOTH_MIDDLE)
    opening = _distance(gaps(points), gaps(truth), SMOOTH)
    return _distance(points, truth, SMOOTH) + opening + 0.5 * middle


def _distance(one: Tensor, other: Tensor, smooth: float) -> Tensor:
    return torch.sqrt(((one - other) ** 2).sum(-1) + smooth**2).mean()
