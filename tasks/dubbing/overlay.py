"""Drawing on whole frames: a visible label; two frames side by side."""

import cv2
import numpy as np


def labelled(frame_HW3: np.ndarray, label: str) -> np.ndarray:
    """White text on a dark background in the lower left corner, a thirtieth of the frame high."""
    labelled_HW3 = frame_HW3.copy()
    scale = max(0.3, len(labelled_HW3) / 30 / 22)
    (width, height), below = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    margin = height // 2
    ground = labelled_HW3[-height - below - 2 * margin :, : width + 2 * margin]
    ground[...] = ground // 3
    at = (margin, len(labelled_HW3) - below - margin)
    cv2.putText(labelled_HW3, label, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return labelled_HW3


def beside(left_HW3: np.ndarray, right_HW3: np.ndarray) -> np.ndarray:
    """Two frames of one height; an encoder may have padded the right one by a row or a column."""
    height, width = left_HW3.shape[:2]
    return np.concatenate([left_HW3, right_HW3[:height, :width]], axis=1)
