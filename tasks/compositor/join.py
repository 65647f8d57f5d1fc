"""Blends the new mouth into the frame: matched to the surrounding colours, without a seam, nothing else changed.

The colour difference at the region's rim is interpolated smoothly over the inside (gradient-domain blending without its
linear system). Then coarse and fine detail are blended over rims of different width (two bands of a Laplacian pyramid),
so that no detail appears twice.
Source: Perez, Gangnet, Blake 2003, Poisson image editing; Burt, Adelson 1983, multiresolution spline
"""

import cv2
import numpy as np

RIM_TOP = 0.75  # weight: a pixel above it is inside, not rim
MOST_LEVELS = 40.0  # levels: a larger difference at the rim is not caused by light
FILM_PX = 64  # longer side of the picture on which the correction is computed
FILM_SIGMAS = ((2, 1.0), (5, 0.1), (12, 0.01), (30, 0.001))  # px and weight: a distant rim counts where none is near
FILM_ENOUGH_PX = 6.0
DETAIL = 1 / 60  # share of the region's width: finer structure is fine detail
DETAIL_LEAST_PX = 0.8
ENOUGH_PX = 1.5  # sigma: a wider blur is computed on a smaller picture
FINE_FROM, FINE_OVER = 0.3, 0.3  # weights between which fine detail changes from old to new


def joined(
    new_HW3: np.ndarray, old_HW3: np.ndarray, weight_HW: np.ndarray, share: float = 1.0
) -> tuple[np.ndarray, float]:
    """The new mouth blended over the old one, and the difference that remains along the rim, in levels of 255.

    All channels are treated alike and only differences are used: grey stays grey, and equal pixels stay equal.
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
    """A smooth correction that cancels the difference along the rim; the seam.  Shape: -> (H, W, 3) float32"""
    height, width = weight_HW.shape
    shrink = max(1, round(max(height, width) / FILM_PX))
    size = (max(2, width // shrink), max(2, height // shrink))
    small = cv2.resize(difference_HW3, size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(weight_HW, size, interpolation=cv2.INTER_AREA)
    rim = np.where(weight < RIM_TOP, 4 * weight * (1 - weight), 0).astype(np.float32)
    weighted = np.dstack([np.clip(small, -MOST_LEVELS, MOST_LEVELS) * rim[..., None], rim])
    parts = [np.float32(share) * _coarse(weighted, sigma, FILM_ENOUGH_PX) for sigma, share in FILM_SIGMAS]
    film: np.ndarray = sum(parts[1:], parts[0])
    film = -film[..., :3] / np.maximum(film[..., 3:], np.float32(1e-8))
    edge = (weight > 0.02) & (weight < 0.3)
    seam_levels = float(np.abs(small + film)[edge].mean()) if edge.any() else 0.0
    return cv2.resize(film, (width, height), interpolation=cv2.INTER_LINEAR), seam_levels


def _coarse(image_HW3: np.ndarray, sigma: float, enough_px: float = ENOUGH_PX) -> np.ndarray:
    """Gaussian blur; one wider than `enough_px` is computed on a smaller picture."""
    height, width = image_HW3.shape[:2]
    shrink = max(1, int(sigma / enough_px))
    if shrink == 1:
        return cv2.GaussianBlur(image_HW3, (0, 0), sigma)
    size = (max(2, width // shrink), max(2, height // shrink))
    small = cv2.GaussianBlur(cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / shrink)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
