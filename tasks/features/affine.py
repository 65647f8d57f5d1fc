"""Cuts a part out of a frame, rotated and scaled by an affine map."""

import cv2
import numpy as np

from tasks.media.frame import Picture

Frame = np.ndarray | Picture  # (H, W, 3) uint8 RGB


def cut(frame_HW3: Frame, placement_23: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """A part of a frame by an affine map; outside the frame its edge pixels are repeated. Reductions average first, so
    that fine patterns do not alias.  Shape: (H, W, 3) uint8, (2, 3) -> (*size_hw, 3) uint8
    """
    height, width = frame_HW3.shape[:2]
    shrink = max(1, int(1 / max(float(np.linalg.norm(placement_23[:, 0])), 1e-6)))
    corners_24 = np.array([[0, size_hw[1], 0, size_hw[1]], [0, 0, size_hw[0], size_hw[0]]])
    corners_24 = np.linalg.inv(placement_23[:, :2]) @ (corners_24 - placement_23[:, 2:])
    wanted_22 = np.floor(corners_24.min(axis=1)) - 2 * shrink, np.ceil(corners_24.max(axis=1)) + 2 * shrink
    low_2 = np.clip(wanted_22[0], 0, [width - 1, height - 1]).astype(int)
    high_2 = np.clip(wanted_22[1], low_2 + 1, [width, height]).astype(int)
    # where the frame surrounds the part, no border is needed, and OpenCV is faster without one
    inside = bool((low_2 == wanted_22[0]).all() and (high_2 == wanted_22[1]).all())
    small_2 = np.maximum((high_2 - low_2) // shrink, 1)
    high_2 = np.minimum(low_2 + small_2 * shrink, high_2)  # OpenCV averages whole pixels ten times as fast as others
    window_HW3 = frame_HW3[low_2[1] : high_2[1], low_2[0] : high_2[0]]
    turn_22, shift_2 = placement_23[:, :2], placement_23[:, 2] + placement_23[:, :2] @ low_2
    if shrink > 1:
        turn_22 = turn_22 * ((high_2 - low_2) / small_2)
        window_HW3 = cv2.resize(window_HW3, small_2.tolist(), interpolation=cv2.INTER_AREA)
    shift_2 = shift_2 + turn_22 @ np.array([0.5, 0.5]) - 0.5  # OpenCV puts integer coordinates at pixel centres
    to_part_23 = np.concatenate([turn_22, shift_2[:, None]], axis=1)
    border = cv2.BORDER_CONSTANT if inside else cv2.BORDER_REPLICATE
    return cv2.warpAffine(window_HW3, to_part_23, size_hw[::-1], borderMode=border)
