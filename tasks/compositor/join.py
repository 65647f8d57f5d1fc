"""The new mouth in the frame: in the colours around it, with no seam, and nothing else changed.

The difference of colour at the region's rim is led inwards as a soap film would (a gradient-domain join, without its
linear system); then coarse and fine detail are blended over rims of different width (two bands of a Laplacian pyramid),
so that no detail is seen twice.
Source: Perez, Gangnet, Blake 2003, Poisson image editing; Burt, Adelson 1983, multiresolution spline
"""

import cv2
import numpy as np

RIM_TOP = 0.75  # of the weight: beyond it a pixel is inside, not rim
MOST_LEVELS = 40.0  # a larger difference at the rim is no matter of light
FILM_PX = 64  # longer side of the picture on which the film is laid
FILM_SIGMAS = ((2, 1.0), (5, 0.1), (12, 0.01), (30, 0.001))  # px and weight: far rims count where no near one is
DETAIL = 1 / 60  # of the region's width: what is finer is fine detail
DETAIL_LEAST_PX = 0.8
ENOUGH_PX = 1.5  # sigma: a wider blur is made on a smaller picture
FINE_FROM, FINE_OVER = 0.3, 0.3  # of the weight: where fine detail changes over


def joined(
    new_HW3: np.ndarray, old_HW3: np.ndarray, weight_HW: np.ndarray, share: float = 1.0
) -> tuple[np.ndarray, float]:
    """The new mouth over the old one; and what is left of a difference along the rim, in levels of 255.

    Each channel is treated as every other, and by differences alone: grey stays grey, and what is the same stays so.
    Shape: (H, W, 3) uint8 twice, weight (H, W) float32 in [0, 1], times `share` -> (H, W, 3) uint8
    """
    difference = cv2.subtract(new_HW3, old_HW3, dtype=cv2.CV_32F)
    film, seam_levels = _film(difference, weight_HW)
    difference = cv2.add(difference, film)
    weight_HW = weight_HW * np.float32(share)
    fine_HW = np.clip((weight_HW - FINE_FROM) / FINE_OVER, 0, 1)
    coarse = _coarse(difference, max(DETAIL_LEAST_PX, DETAIL * weight_HW.shape[1]))
    change = cv2.multiply(difference, cv2.merge([fine_HW] * 3))
    change = cv2.add(change, cv2.multiply(coarse, cv2.merge([weight_HW - fine_HW] * 3)))
    return cv2.add(old_HW3, change, dtype=cv2.CV_8U), seam_levels


def _film(difference_HW3: np.ndarray, weight_HW: np.ndarray) -> tuple[np.ndarray, float]:
    """What takes the difference away along the rim, and goes on smoothly inside.  Shape: -> (H, W, 3) float32"""
    height, width = weight_HW.shape
    shrink = max(1, round(max(height, width) / FILM_PX))
    size = (max(2, width // shrink), max(2, height // shrink))
    small = cv2.resize(difference_HW3, size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(weight_HW, size, interpolation=cv2.INTER_AREA)
    rim = np.where(weight < RIM_TOP, 4 * weight * (1 - weight), 0).astype(np.float32)
    given = np.dstack([np.clip(small, -MOST_LEVELS, MOST_LEVELS) * rim[..., None], rim])
    parts = [np.float32(share) * cv2.GaussianBlur(given, (0, 0), sigma) for sigma, share in FILM_SIGMAS]
    film = sum(parts[1:], parts[0])
    film = -film[..., :3] / np.maximum(film[..., 3:], np.float32(1e-8))
    edge = (weight > 0.02) & (weight < 0.3)
    seam_levels = float(np.abs(small + film)[edge].mean()) if edge.any() else 0.0
    return cv2.resize(film, (width, height), interpolation=cv2.INTER_LINEAR), seam_levels


def _coarse(image_HW3: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur; a wide one of a smaller picture."""
    height, width = image_HW3.shape[:2]
    shrink = max(1, int(sigma / ENOUGH_PX))
    if shrink == 1:
        return cv2.GaussianBlur(image_HW3, (0, 0), sigma)
    size = (max(2, width // shrink), max(2, height // shrink))
    small = cv2.GaussianBlur(cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / shrink)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
