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
    place_V2 = geometry.place_V2 + OFFSET
    values = np.column_stack([library_V2 - wanted_V2, place_V2[:, :1]]), np.column_stack([jaw_V2, place_V2[:, 1:]])
    drawn = _filled([_rasterised(at_V2, geometry.triangles_N3, one, cells) for one in values], at_V2)
    library_x, library_y, place_x = cv2.split(drawn[0])
    place_y = cv2.extractChannel(drawn[1], 2)
    covered = place_x > OFFSET / 2
    weight = geometry.weight(np.dstack([place_x, place_y]) - OFFSET) * covered
    weight = cv2.GaussianBlur(weight, (0, 0), SOFT) * covered
    jaw_x, jaw_y, _ = cv2.split(cv2.GaussianBlur(drawn[1], (0, 0), STEADY))
    still = np.abs(jaw_x) + np.abs(jaw_y) < SMALL_PX
    jaw_x[still] = jaw_y[still] = 0
    place = _place((weight > 0) | ~still, low_2, size_2, size_hw)
    if place is None:
        return None
    top, left, (width, height) = place
    first_x, first_y = (left, top) - low_2
    inside = slice(first_y, first_y + height), slice(first_x, first_x + width)
    size = (int(size_2[0]), int(size_2[1]))
    library_x, library_y, jaw_x, jaw_y, weight_HW = (
        cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)[inside]
        for part in (library_x, library_y, jaw_x, jaw_y, weight)
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
    at_V2: np.ndarray, triangles_N3: np.ndarray, values_V3: np.ndarray, cells: tuple[int, int]
) -> np.ndarray:
    """Vertex values interpolated linearly over the triangles, 0 outside them.  Shape: -> (rows, columns, 3) float32"""
    width, height = cells
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_CW)
    points_V3 = np.stack(
        [(at_V2[:, 0] - width / 2) / height, (height / 2 - at_V2[:, 1]) / height, np.full(len(at_V2), -1.0)], axis=1
    ).astype(np.float32)
    view = float(2 * np.arctan(0.5))  # at distance 1 the picture has height 1
    values_V3 = np.ascontiguousarray(values_V3, np.float32)
    canvas, depth = np.zeros((height, width, 3), np.float32), np.full((height, width), FAR, np.float32)
    cv2.triangleRasterize(
        points_V3, triangles_N3, values_V3, canvas, depth, np.eye(4, dtype=np.float32), view, 0.1, FAR, settings
    )
    return canvas


def _filled(drawn: list[np.ndarray], at_V2: np.ndarray) -> list[np.ndarray]:
    """Fill cracks, where a triangle was flipped, with the mean of their surroundings.

    drawn: canvases (rows, columns, 3), 0 in the last channel where no triangle is
    """
    covered = (cv2.extractChannel(drawn[0], 2) > OFFSET / 2).astype(np.float32)
    hull = np.zeros(covered.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(at_V2.astype(np.float32)).astype(np.int32), 1)
    cracks = (covered == 0) & (hull > 0)
    if not cracks.any():
        return drawn
    share = cv2.GaussianBlur(covered, (0, 0), SOFT)
    near = cracks & (share > 1e-3)
    share_N1 = np.maximum(share[near], 1e-4)[:, None]
    for canvas in drawn:
        canvas[near] = cv2.GaussianBlur(canvas, (0, 0), SOFT)[near] / share_N1
    return drawn
