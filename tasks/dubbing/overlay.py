"""Whole pictures: a visible label, and two side by side."""

import cv2
import numpy as np


def labelled(frame_HW3: np.ndarray, label: str) -> np.ndarray:
    """White words on a dark ground in the lower left corner, a thirtieth of the picture high."""
    made = frame_HW3.copy()
    scale = max(0.3, len(made) / 30 / 22)
    (width, height), below = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    margin = height // 2
    ground = made[-height - below - 2 * margin :, : width + 2 * margin]
    ground[...] = ground // 3
    at = (margin, len(made) - below - margin)
    cv2.putText(made, label, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return made


def beside(left_HW3: np.ndarray, right_HW3: np.ndarray) -> np.ndarray:
    """Two pictures of one height; an encoder may have made the right one even by a row or a column."""
    height, width = left_HW3.shape[:2]
    return np.concatenate([left_HW3, right_HW3[:height, :width]], axis=1)
