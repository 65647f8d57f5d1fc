"""Sharpness and flicker of the mouth in a video, by the points of an instrument: for benchmarks/real.py."""

import math
from pathlib import Path

import cv2
import numpy as np

from model import head_mesh
from model.lips import LIPS
from tasks.media import decode

PX_PER_EYES, HEIGHT, WIDTH = 100.0, 48, 64  # of an upright crop around the inner lips
OPEN = 0.04  # eye distances: the inside of a mouth open less is hardly seen
GREY_RGB = np.array([0.299, 0.587, 0.114], np.float32)


def sharpness(video: Path, points_T4683: np.ndarray) -> float:
    """Mean gradient magnitude in the lips' box, at the video's own resolution."""
    gradients = []
    for frame_HW3, points_4683 in zip(decode.frames(video), points_T4683, strict=False):
        (left, top), (right, bottom) = points_4683[LIPS, :2].min(axis=0), points_4683[LIPS, :2].max(axis=0)
        grey_HW = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32)
        box_HW = grey_HW[max(int(top) - 2, 0) : int(bottom) + 3, max(int(left) - 2, 0) : int(right) + 3]
        if min(box_HW.shape) > 3:
            down_HW, across_HW = np.gradient(box_HW)
            gradients.append(float(np.hypot(down_HW, across_HW).mean()))
    return float(np.mean(gradients)) if gradients else 0.0


def flicker(video: Path, points_T4683: np.ndarray) -> float:
    """How much the mouth's inside changes back and forth, beyond what the lips' own motion brings.

    Mean second difference over time, in levels of 255, of the pixels that lie between the lips in three consecutive
    frames that are all open, over that of the opening in the same frames, in eye distances: lips that open and close
    fast change what is seen between them as well. nan where no three frames are open.
    """
    insides = [_inside(*pair) for pair in zip(decode.frames(video), points_T4683, strict=False)]
    opening_T = head_mesh.opening(points_T4683[: len(insides)])
    changes, moves = list[np.ndarray](), list[float]()
    for t in range(1, len(insides) - 1):
        if (opening_T[t - 1 : t + 2] > OPEN).all():
            (before, mask_a), (now, mask_b), (after, mask_c) = insides[t - 1 : t + 2]
            changes.append(np.abs(before - 2 * now + after)[mask_a & mask_b & mask_c])
            moves.append(abs(float(np.diff(opening_T[t - 1 : t + 2], 2)[0])))
    return float(np.concatenate(changes).mean() / max(np.mean(moves), 1e-6)) if changes else float("nan")


def _inside(frame_HW3: np.ndarray, points_4683: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An upright crop around the inner lips, grey, and which of its pixels lie between them."""
    (left, right), inner_202 = points_4683[list(head_mesh.EYES), :2], points_4683[list(head_mesh.INNER), :2]
    across_2 = right - left
    scale, angle = PX_PER_EYES / float(np.linalg.norm(across_2)), math.atan2(across_2[1], across_2[0])
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    turn_22 = np.array([[cos, sin], [-sin, cos]])
    shift_2 = np.array([WIDTH / 2, HEIGHT / 2]) - turn_22 @ inner_202.mean(axis=0)
    crop_HW3 = cv2.warpAffine(
        frame_HW3, np.column_stack([turn_22, shift_2]), (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR
    ).astype(np.float32)
    mask_HW = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask_HW, [np.round(inner_202 @ turn_22.T + shift_2).astype(np.int32)], 1)
    return crop_HW3 @ GREY_RGB, mask_HW > 0
