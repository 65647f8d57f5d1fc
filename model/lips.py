"""The lip refiner: a small network that locates the 40 lip points in a crop of the mouth.

The face mesh shows mouths about half as open as they are, and on rendered heads its lip points miss the lips. It is
good enough to place a crop: its lips and eyes give one that is upright and of the same size for every face. The network
takes the crop and the mesh's lip points and corrects the points. It does not see how far the mesh opens the lips: that
is 0.46 to 1.11 times the truth, another factor and offset for each of 14 people, and a network that sees it passes half
of the error on. The opening is read from the picture.

Points are (x, y) in pixels of the frame; pixel i covers [i, i + 1). The network's unit is the eye distance (between
the outer corners in 3-D, so that turning the head does not change it), measured from the crop's middle.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.head_mesh import EYES, INNER, LOWER_INNER, OUTER, UPPER_INNER

LIPS = np.array(OUTER + INNER)

HEIGHT_PX, WIDTH_PX = 48, 64  # of the crop
EYES_ACROSS = 1.1  # width of the crop in eye distances
PX_PER_EYE = WIDTH_PX / EYES_ACROSS

# Pairs of facing points (lower, upper) of the inner lips, as indices into the 40, from the middle outward
FACING = ((25, 35), (24, 36), (26, 34), (23, 37), (27, 33))
MIRROR = np.array([*range(10, -1, -1), *range(19, 10, -1), *range(30, 19, -1), *range(39, 30, -1)])  # left-right

CHANNELS, HIDDEN, DROPOUT = (24, 32, 64, 96), 128, 0.1
STEP = 0.1  # eye distances that a network output of 1 moves a point
FLAT = 0.02  # added to a crop's standard deviation, so that a crop without contrast is not amplified
SMOOTH, SMOOTH_MIDDLE = 0.004, 0.002  # eye distances: the loss is quadratic below and linear above


def placements(
    mesh_T4683: np.ndarray, size_hw: tuple[int, int] = (HEIGHT_PX, WIDTH_PX), px_per_eye: float = PX_PER_EYE
) -> np.ndarray:
    """The network's crops: affine maps from pixels of the frame to pixels of a crop.  Shape: -> (T, 2, 3)"""
    mesh_T4683 = mesh_T4683.astype(np.float64)
    across_T3 = mesh_T4683[:, EYES[1]] - mesh_T4683[:, EYES[0]]
    px_T = px_per_eye / np.maximum(np.linalg.norm(across_T3, axis=1), 1e-6)
    roll_T = np.arctan2(across_T3[:, 1], across_T3[:, 0])
    cos_T, sin_T = px_T * np.cos(roll_T), px_T * np.sin(roll_T)
    turn_T22 = np.stack([np.stack([cos_T, sin_T], 1), np.stack([-sin_T, cos_T], 1)], axis=1)
    middle_T2 = mesh_T4683[:, LIPS, :2].mean(axis=1)
    shift_T2 = np.array(size_hw[::-1]) / 2 - np.einsum("tij,tj->ti", turn_T22, middle_T2)
    return np.concatenate([turn_T22, shift_T2[:, :, None]], axis=2)


def to_crop(points_TN2: np.ndarray, placements_T23: np.ndarray) -> np.ndarray:
    """Pixels of the frame -> pixels of the crop.  Shape: (T, N, 2), (T, 2, 3) -> (T, N, 2)"""
    px_TN2: np.ndarray = np.einsum("tij,tnj->tni", placements_T23[:, :, :2], points_TN2) + placements_T23[:, None, :, 2]
    return px_TN2


def to_units(points_TN2: np.ndarray, placements_T23: np.ndarray) -> np.ndarray:
    """Pixels of the frame -> eye distances from the crop's middle.  Shape: (T, N, 2), (T, 2, 3) -> (T, N, 2)"""
    return (to_crop(points_TN2, placements_T23) - np.array([WIDTH_PX, HEIGHT_PX]) / 2) / PX_PER_EYE


def to_frame(units_TN2: np.ndarray, placements_T23: np.ndarray) -> np.ndarray:
    """The inverse of `to_units`.  Shape: (T, N, 2), (T, 2, 3) -> (T, N, 2)"""
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
    """A crop and the mesh's lip points -> refined lip points. 0.34 M weights, 0.4 ms per frame on one core.

    Untrained, it returns the mesh's points with the lips closed. `gain` multiplies the gap of the inner lips: training
    on damaged pictures, in which an opening can only be guessed, makes all openings too alike, on clear ones too.
    Shape: crops (B, 3, HEIGHT_PX, WIDTH_PX) RGB in [0, 1], points (B, 40, 2) in eye distances -> (B, 40, 2)
    """

    gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = CHANNELS
        self.to_2nd, self.to_4th, self.at_4th = _conv(3, a, 2), _conv(a, b, 2), _Residual(b)
        self.to_8th, self.at_8th, self.to_16th = _conv(b, c, 2), _Residual(c), _conv(c, d, 2)
        num_features = d * (HEIGHT_PX // 16) * (WIDTH_PX // 16)
        self.drop = nn.Dropout(DROPOUT)
        self.hidden = nn.Linear(num_features + 2 * len(LIPS), HIDDEN)
        self.out = nn.Linear(HIDDEN, 2 * len(LIPS))
        self.register_buffer("gain", torch.ones(()))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, crops: Tensor, points: Tensor) -> Tensor:
        points = closed(points)
        x = crops - crops.mean((2, 3), keepdim=True)  # colour and level of the light are irrelevant to the lips
        x = x / (x.std((1, 2, 3), keepdim=True) + FLAT)
        x = self.at_4th(F.relu(self.to_4th(F.relu(self.to_2nd(x)))))
        x = F.relu(self.to_16th(self.at_8th(F.relu(self.to_8th(x)))))
        x = torch.cat([self.drop(x.flatten(1)), points.flatten(1)], dim=1)
        return apart(points + STEP * self.out(F.relu(self.hidden(x))).view_as(points), self.gain)


def apart(points: Tensor, gain: Tensor) -> Tensor:
    """With the gap of facing points of the inner lips times `gain`.  Shape: (B, 40, 2), () -> (B, 40, 2)"""
    return torch.lerp(closed(points), points, gain)


def closed(points: Tensor) -> Tensor:
    """With facing points of the inner lips at their middle.  Shape: (B, 40, 2) -> (B, 40, 2)"""
    lower, upper = list(LOWER_INNER), list(UPPER_INNER)
    met = points.clone()
    met[:, lower] = met[:, upper] = (points[:, lower] + points[:, upper]) / 2
    return met


def gaps(points: Tensor) -> Tensor:
    """Vectors from the upper to the lower inner lip, middle first.  Shape: (B, 40, 2) -> (B, 5, 2)"""
    lower, upper = zip(*FACING, strict=True)
    return points[:, list(lower)] - points[:, list(upper)]


def loss(points: Tensor, truth: Tensor) -> Tensor:
    """Error of the points, plus that of the opening (which every metric measures) and of the lips' middle."""
    middle = _distance(points.mean(1), truth.mean(1), SMOOTH_MIDDLE)
    opening = _distance(gaps(points), gaps(truth), SMOOTH)
    return _distance(points, truth, SMOOTH) + 2 * opening + 0.5 * middle


def _distance(one: Tensor, other: Tensor, smooth: float) -> Tensor:
    return torch.sqrt(((one - other) ** 2).sum(-1) + smooth**2).mean()
