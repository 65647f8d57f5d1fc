"""Cropping a face from a frame."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from tasks.features.face_track import Frame


def crop_transform(box: Sequence[float] | np.ndarray, size: int) -> np.ndarray:
    """Affine map of frame pixels into the crop of a box of faces.crop_boxes.  Shape: (4,) -> (2, 3)"""
    left, top, right, bottom = box
    scale_x, scale_y = size / (right - left), size / (bottom - top)
    # pixel centres are at +0.5: without the shift every crop would be off by half a source pixel
    shift_x, shift_y = -left * scale_x + 0.5 * scale_x - 0.5, -top * scale_y + 0.5 * scale_y - 0.5
    return np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y]])


def crop(frame_HW3: Frame, box_4: np.ndarray, size: int) -> np.ndarray:
    """Crop and scale a box; beyond the frame its edge pixels are repeated.  Shape: -> (size, size, 3)"""
    left, top, right, bottom = (float(edge) for edge in box_4)  # for four numbers numpy is slower than the warp itself
    shrink = size / (right - left)
    reach = max(2.0, 2 / shrink)  # px that the filters read beyond the box
    height, width, _ = frame_HW3.shape
    (low_x, high_x), (low_y, high_y) = (
        (low := min(max(math.floor(one - reach), 0), limit - 1), min(max(math.ceil(other + reach), low + 1), limit))
        for one, other, limit in ((left, right, width), (top, bottom, height))
    )
    part_HW3 = frame_HW3[low_y:high_y, low_x:high_x]  # of a Picture, only this part is converted to RGB
    box = [left - low_x, top - low_y, right - low_x, bottom - low_y]
    if shrink < 0.5:  # bilinear warping would skip source pixels, so shrink by area first
        num_x, num_y = high_x - low_x, high_y - low_y
        less_x, less_y = max(round(num_x * 2 * shrink), 1), max(round(num_y * 2 * shrink), 1)
        box = [edge * less for edge, less in zip(box, 2 * (less_x / num_x, less_y / num_y), strict=True)]
        part_HW3 = cv2.resize(part_HW3, (less_x, less_y), interpolation=cv2.INTER_AREA)
    # if the frame surrounds the box, no border is needed, and OpenCV is three times as fast without one
    inside = 0 <= left - reach and right + reach <= width and 0 <= top - reach and bottom + reach <= height
    border = cv2.BORDER_CONSTANT if inside else cv2.BORDER_REPLICATE
    transform = crop_transform(box, size)
    return cv2.warpAffine(part_HW3, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
