"""Basic functions of the renderer: a smooth step, a bump, alpha blending, smooth noise."""

import cv2
import numpy as np

Array = np.ndarray


def step(low: float | Array, high: float | Array, x: Array | float) -> Array:
    """0 at `low`, 1 at `high`, smooth (3t^2 - 2t^3) between; falling if low > high.  Shape: any, broadcast"""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bump(x: Array, width: float | Array) -> Array:
    """1 at 0, 1/e at +-`width`.  Shape: any"""
    return np.exp(-((x / width) ** 2))


def over(under: Array, colour: Array | float, mask: Array) -> Array:
    """Blend `colour` over `under` with weight `mask` (0..1).  Shape: under (..., 3), colour (3,) or as under, mask
    (...)
    """
    return under + (colour - under) * mask[..., None]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple[float, float]) -> Array:
    """Noise of mean near 0 and standard deviation 1, smoothed over `sigma` cells (down the rows, along the columns).

    Shape: -> (R, C) float32
    """
    sigma_y, sigma_x = (max(s, 0.3) for s in (sigma if isinstance(sigma, tuple) else (sigma, sigma)))
    kernel = (2 * round(2.5 * sigma_x) + 1, 2 * round(2.5 * sigma_y) + 1)
    raw_RC = rng.standard_normal(shape).astype(np.float32)
    noise_RC = cv2.GaussianBlur(raw_RC, kernel, sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT)
    return noise_RC / (noise_RC.std() + 1e-6)
