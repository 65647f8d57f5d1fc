"""Draws a face mesh on a picture: the lips' rings, the face's contour and the eyes' outer corners."""

import cv2
import numpy as np

from model.head_mesh import EYES, INNER, OUTER, POINTS_68

CONTOUR = POINTS_68[:17]
LINES = ((OUTER, (255, 90, 90), True), (INNER, (255, 220, 60), True), (CONTOUR, (90, 200, 255), False))  # RGB
SHIFT = 4  # bits of a pixel's fraction that OpenCV draws with


def draw(picture_HW3: np.ndarray, points_4683: np.ndarray) -> np.ndarray:
    """A copy with the mesh on it; without, where it is nan.  Shape: (H, W, 3) uint8, (468, 3) px -> (H, W, 3)"""
    drawn_HW3 = picture_HW3.copy()
    if not np.isfinite(points_4683[list(CONTOUR)]).all():
        return drawn_HW3
    at_4682 = ((np.nan_to_num(points_4683[:, :2]) - 0.5) * 2**SHIFT).round().astype(np.int32)
    for ring, colour, closed in LINES:
        cv2.polylines(drawn_HW3, [at_4682[list(ring)]], closed, colour, 1, cv2.LINE_AA, SHIFT)
    for eye in EYES:
        cv2.circle(drawn_HW3, at_4682[eye].tolist(), 2**SHIFT, (90, 255, 90), -1, cv2.LINE_AA, SHIFT)
    return drawn_HW3
