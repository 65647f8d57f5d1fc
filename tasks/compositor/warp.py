"""Warp maps of the new lower face: the source of each pixel, affine within each triangle of the mesh.

Maps are rasterised coarsely and enlarged, so their cost hardly depends on the resolution; one `remap` then moves all
pixels. A map holds the offset from a pixel to its source: pixels that no triangle covers have offset 0 and stay.

Positions are px of the frame, pixel i covers [i, i + 1).
Source: cv2.triangleRasterize (OpenCV 5 or later)
"""

from typing import NamedTuple

import cv2
import numpy as np

from tasks.compositor.geometry import Geometry

GRID = 160  # cells of the longer side
SOFT, STEADY = 1.5, 1.2  # cells: blur of the weight's edges, and of the jaw's map
SMALL_PX = 0.02  # shorter moves count as 0
FAR = 10.0
LEAST_PX = 8  # sides of the region: a smaller mouth is left unchanged
OFFSET = FAR  # added to positions on the canonical head, so that 0 means no triangle


class Maps(NamedTuple):
    """Maps for the part of a frame that begins at top, left.

    library_2HW   float32, offsets x and y from a pixel to its source in the library's frame
    jaw_2HW       the same to its source in the target frame, whose jaw and cheeks follow the mouth
    moved_HW      bool, where jaw_2HW is not 0
    weight_HW     float32 in [0, 1], weight of the new mouth
    """

    top: int
    left: int
    library_2HW: list[np.ndarray]
    jaw_2HW: list[np.ndarray]
    moved_HW: np.ndarray
    weight_HW: np.ndarray


def maps(
    geometry: Geometry, wanted_V2: np.ndarray, target_V2: np.ndarray, library_V2: np.ndarray, size_hw: tuple[int, int]
) -> Maps | None:
    """None where no part of the region is in the frame.

    wanted_V2, target_V2, library_V2: wanted vertices, vertices in the target frame and in the library's frame, px
    """
    low_2 = np.floor(wanted_V2.min(axis=0) / 2 - 1).astype(int) * 2  # even
    size_2 = np.ceil(wanted_V2.max(axis=0) / 2 + 1).astype(int) * 2 - low_2
    step = max(1.0, float(size_2.max()) / GRID)
    cells = (int(np.ceil(size_2[0] / step)), int(np.ceil(size_2[1] / step)))
    step_2 = size_2 / cells
    at_V2 = (wanted_V2 - low_2) / step_2
    jaw_V2 = target_V2 - wanted_V2
    values_V6 = np.concatenate([library_V2 - wanted_V2, jaw_V2, geometry.place_V2 + OFFSET], axis=1)
    drawn = _filled(_rasterised(at_V2, geometry.triangles_N3, values_V6, cells), at_V2)
    covered = drawn[..., 4] > OFFSET / 2
    weight = cv2.GaussianBlur(geometry.weight(drawn[..., 4:] - OFFSET) * covered, (0, 0), SOFT) * covered
    jaw = cv2.GaussianBlur(drawn[..., 2:4], (0, 0), STEADY)
    still = np.abs(jaw[..., 0]) + np.abs(jaw[..., 1]) < SMALL_PX
    jaw[still] = 0
    place = _place((weight > 0) | ~still, low_2, size_2, size_hw)
    if place is None:
        return None
    top, left, (width, height) = place
    first_x, first_y = (left, top) - low_2
    inside = slice(first_y, first_y + height), slice(first_x, first_x + width)
    size = (int(size_2[0]), int(size_2[1]))
    library_x, library_y, jaw_x, jaw_y, weight_HW = (
        cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_LINEAR)[inside]
        for part in (drawn[..., 0], drawn[..., 1], jaw[..., 0], jaw[..., 1], weight)
    )
    return Maps(top, left, [library_x, library_y], [jaw_x, jaw_y], (jaw_x != 0) | (jaw_y != 0), weight_HW)


def moved(image_HW3: np.ndarray, map_2HW: list[np.ndarray], corner_xy: tuple[float, float]) -> np.ndarray:
    """The image warped by a map; corner_xy: the map's first pixel in the image.  Shape: -> (H, W, 3) uint8"""
    height, width = map_2HW[0].shape
    x_HW = map_2HW[0] + (np.arange(width, dtype=np.float32) + np.float32(corner_xy[0]))
    y_HW = map_2HW[1] + (np.arange(height, dtype=np.float32) + np.float32(corner_xy[1]))[:, None]
    return cv2.remap(image_HW3, x_HW, y_HW, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _place(
    cells: np.ndarray, low_2: np.ndarray, size_2: np.ndarray, size_hw: tuple[int, int]
) -> tuple[int, int, tuple[int, int]] | None:
    """Top, left and (width, height) of these cells in the frame, all even, within the grid (low_2 and size_2, px)."""
    sides = []
    for axis, low, size, most in ((1, int(low_2[1]), int(size_2[1]), size_hw[0]),
                                  (0, int(low_2[0]), int(size_2[0]), size_hw[1])):  # fmt: skip
        at, step = np.flatnonzero(cells.any(axis=axis)), size / cells.shape[1 - axis]
        if not len(at):
            return None
        start = max(0, low, (low + int(np.floor((at[0] - 1) * step))) // 2 * 2)
        end = min(most // 2 * 2, low + size, -(-(low + int(np.ceil((at[-1] + 2) * step))) // 2) * 2)
        if end - start < LEAST_PX:
            return None
        sides.append((start, end - start))
    (top, height), (left, width) = sides
    return top, left, (width, height)


def _rasterised(
    at_V2: np.ndarray, triangles_N3: np.ndarray, values_V6: np.ndarray, cells: tuple[int, int]
) -> np.ndarray:
    """Vertex values interpolated linearly over the triangles, 0 outside them.  Shape: -> (rows, columns, 6) float32"""
    width, height = cells
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_CW)
    points_V3 = np.stack(
        [(at_V2[:, 0] - width / 2) / height, (height / 2 - at_V2[:, 1]) / height, np.full(len(at_V2), -1.0)], axis=1
    ).astype(np.float32)
    view = float(2 * np.arctan(0.5))  # at distance 1 the picture has height 1
    canvases = []
    for first in (0, 3):
        values = np.ascontiguousarray(values_V6[:, first : first + 3], np.float32)
        canvas, depth = np.zeros((height, width, 3), np.float32), np.full((height, width), FAR, np.float32)
        cv2.triangleRasterize(
            points_V3, triangles_N3, values, canvas, depth, np.eye(4, dtype=np.float32), view, 0.1, FAR, settings
        )
        canvases.append(canvas)
    return np.concatenate(canvases, axis=2)


def _filled(drawn_HW6: np.ndarray, at_V2: np.ndarray) -> np.ndarray:
    """Fill cracks, where a triangle was flipped, with the mean of their surroundings."""
    covered = (drawn_HW6[..., 4] > OFFSET / 2).astype(np.float32)
    hull = np.zeros(covered.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(at_V2.astype(np.float32)).astype(np.int32), 1)
    cracks = (covered == 0) & (hull > 0)
    if not cracks.any():
        return drawn_HW6
    share = cv2.GaussianBlur(covered, (0, 0), SOFT)
    near = cracks & (share > 1e-3)
    for first in (0, 3):
        part = drawn_HW6[..., first : first + 3]
        part[near] = (cv2.GaussianBlur(part, (0, 0), SOFT) / np.maximum(share, 1e-4)[..., None])[near]
    return drawn_HW6
