"""Paints the mouth's inside into a warped picture, where the library has no mouth as open as the wanted one.

The network works on a small upright crop (model.inside); its result is enlarged to the picture's own resolution and
blended between the lips with a soft edge. No other pixel changes.
"""

import cv2
import numpy as np

from model import inside
from model.inside import HEIGHT, PX_PER_EYES, SOFT_GROW_PX, SOFT_SIGMA_PX, WIDTH, InsideNet

# Painting begins where the wanted opening exceeds ENOUGH times the library's plus LACK_FROM (eye distances)
ENOUGH, LACK_FROM, LACK_OVER = 1.3, 0.01, 0.03
DARK = 0.62  # share of the light removed there without a network
SOFT_LIPS = 0.03  # share of the lip width: blur of the dark area's edge
SUBPIXEL_BITS = 4  # of polygon corners
MOST_GRAIN, GRAIN_PX = 4.0, 128  # levels; side of the tile of noise
NOISE_HW = np.random.default_rng(1).standard_normal((GRAIN_PX, GRAIN_PX)).astype(np.float32)


def lack(wanted_N: np.ndarray, available_N: np.ndarray) -> np.ndarray:
    """How much of the inside the library lacks, 0 to 1, from the wanted opening and that of the library's frame."""
    return np.clip((wanted_N - ENOUGH * available_N - LACK_FROM) / LACK_OVER, 0, 1)


def filled(size_hw: tuple[int, int], outline_N2: np.ndarray) -> np.ndarray:
    """A polygon with smooth edges; pixel i covers [i, i + 1).  Shape: (N, 2) px -> (H, W) float32 in [0, 1]"""
    mask_HW = np.zeros(size_hw, np.uint8)
    corners = np.round((outline_N2 - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(mask_HW, [corners], 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return mask_HW.astype(np.float32) / 255


def soft(inner_HW: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """The painted area: the inside, a little larger, with a soft edge.  scale: px of the picture per px of a crop"""
    side = 2 * round(SOFT_GROW_PX * scale) + 1
    grown = cv2.dilate(inner_HW, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return cv2.GaussianBlur(grown, (0, 0), max(0.6, SOFT_SIGMA_PX * scale))


def crop(picture_HW3: np.ndarray, matrix_23: np.ndarray) -> np.ndarray:
    """The crop of a picture; a larger picture is averaged.  Shape: (H, W, 3) uint8, (2, 3) -> (64, 96, 3) uint8"""
    scale = float(np.hypot(*matrix_23[:, 0]))
    if scale < 1:
        height, width = picture_HW3.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture_HW3 = cv2.resize(picture_HW3, size, interpolation=cv2.INTER_AREA)
        matrix_23 = matrix_23 @ np.diag([width / size[0], height / size[1], 1.0])
    return cv2.warpAffine(
        picture_HW3, of_centres(matrix_23), (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def of_centres(matrix_23: np.ndarray) -> np.ndarray:
    """The same map for OpenCV, whose positions are those of pixels' centres.  Shape: (2, 3) -> (2, 3)"""
    matrix_23 = matrix_23.copy()
    matrix_23[:, 2] += matrix_23[:, :2] @ [0.5, 0.5] - 0.5
    return matrix_23


def placed(points_N2: np.ndarray, matrix_23: np.ndarray) -> np.ndarray:
    """Points of the frame in the crop.  Shape: (N, 2) -> (N, 2)"""
    return points_N2 @ matrix_23[:, :2].T + matrix_23[:, 2]


def filled_in(
    net: InsideNet | None, new_HW3: np.ndarray, inner_202: np.ndarray, outer_202: np.ndarray, turn_33: np.ndarray,
    share: float,
) -> np.ndarray:  # fmt: skip
    """The inside where closed lips were stretched over one that was never filmed: painted, or dark without `net`."""
    if net is None:
        return darkened(new_HW3, inner_202, share)
    return paint(net, new_HW3, inner_202, outer_202, turn_33, share)


def darkened(new_HW3: np.ndarray, inner_202: np.ndarray, darkness: float) -> np.ndarray:
    """Darken the area between the lips.  Shape: (H, W, 3) uint8, inner lips in its px -> (H, W, 3) uint8"""
    area_HW = np.zeros(new_HW3.shape[:2], np.float32)
    cv2.fillPoly(area_HW, [np.round(inner_202 * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    inside_HW = cv2.GaussianBlur(area_HW, (0, 0), max(0.6, SOFT_LIPS * float(np.ptp(inner_202[:, 0]))))
    return np.rint(new_HW3 * (1 - DARK * darkness * inside_HW)[..., None]).astype(np.uint8)


def paint(
    net: InsideNet, new_HW3: np.ndarray, inner_202: np.ndarray, outer_202: np.ndarray, turn_33: np.ndarray, share: float
) -> np.ndarray:
    """The picture with a painted inside.

    inner_202, outer_202   the wanted lips in the picture, px
    share                  of the painting over what the warp has left there
    Shape:  (H, W, 3) uint8 -> (H, W, 3) uint8, new
    """
    matrix_23 = inside.alignment(inner_202, turn_33)
    scale = float(np.linalg.norm(turn_33[0])) / PX_PER_EYES
    rows, columns = _around(inner_202, scale, new_HW3.shape[:2])
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return new_HW3
    masks = [filled((HEIGHT, WIDTH), placed(lips, matrix_23)) for lips in (inner_202, outer_202)]
    made_HW3 = inside.painted(net, crop(new_HW3, matrix_23), *masks)
    old, corner_2 = new_HW3[rows, columns].astype(np.float32), np.array([columns.start, rows.start])
    matrix_23[:, 2] += matrix_23[:, :2] @ corner_2
    large = cv2.warpAffine(
        made_HW3, of_centres(matrix_23), old.shape[1::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    weight_HW = np.float32(share) * soft(filled(old.shape[:2], inner_202 - corner_2), scale)
    change = (large + grain(old, large, weight_HW)[..., None] - old) * weight_HW[..., None]
    output = new_HW3.copy()
    output[rows, columns] = np.clip(np.rint(old + change), 0, 255)
    return output


def grain(old_HW3: np.ndarray, made_HW3: np.ndarray, weight_HW: np.ndarray) -> np.ndarray:
    """Noise as strong as what the painting lacks of the picture's own around it; it stands still.

    Shape: (H, W, 3) float32 twice, weight of the painting (H, W) -> (H, W) float32 levels
    """
    around_HW, inside_HW = weight_HW < 0.02, weight_HW > 0.5
    if not around_HW.any() or not inside_HW.any():
        return np.zeros_like(weight_HW)
    wanted, there = (
        1.4826 * float(np.median(np.abs(_fine(picture)[where])))
        for picture, where in ((old_HW3, around_HW), (made_HW3, inside_HW))
    )
    height, width = weight_HW.shape
    noise_HW = np.tile(NOISE_HW, (height // GRAIN_PX + 1, width // GRAIN_PX + 1))[:height, :width]
    return noise_HW * np.float32(min(MOST_GRAIN, max(0.0, wanted**2 - there**2) ** 0.5))


def _fine(picture_HW3: np.ndarray) -> np.ndarray:
    grey_HW = picture_HW3.mean(axis=2)
    return grey_HW - cv2.GaussianBlur(grey_HW, (0, 0), 1.0)


def _around(inner_202: np.ndarray, scale: float, size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns that the painting and its edge may reach."""
    room = (SOFT_GROW_PX + 4 * SOFT_SIGMA_PX) * scale + 4
    low_2, high_2 = inner_202.min(axis=0) - room, inner_202.max(axis=0) + room
    columns, rows = (
        slice(max(0, int(low)), min(most, int(high) + 1))
        for low, high, most in zip(low_2, high_2, size_hw[::-1], strict=True)
    )
    return rows, columns
