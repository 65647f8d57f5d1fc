"""The eight ways in which a picture may be stored, by their EXIF numbers, and how each becomes upright.

Photographs name the number, videos have a display matrix; both come to the same eight.
Source: EXIF 2.32, tag 274 (Orientation); ISO/IEC 14496-12, the matrix of a track header
"""

from collections.abc import Sequence

import numpy as np

AS_STORED = 1
WORDS = {
    1: "as stored",
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored along the falling diagonal",
    6: "turned by 90 degrees clockwise",
    7: "mirrored along the rising diagonal",
    8: "turned by 90 degrees counter-clockwise",
}  # what a viewer does to the stored picture
# (a, b, c, d) of a display matrix: the stored point (x, y) is shown at (a x + c y, b x + d y); y points down
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def of_exif(number: object) -> int:
    """The orientation that a file's tag 274 names; what is no orientation counts as upright, as viewers have it."""
    return number if isinstance(number, int) and number in WORDS else AS_STORED


def of_matrix(matrix: Sequence[int] | np.ndarray) -> int:
    """The orientation nearest to a display matrix, whatever its scale and its shift.

    Shape: nine numbers, a, b, u, c, d, v, x, y, w
    """
    linear = np.array([matrix[0], matrix[1], matrix[3], matrix[4]], np.float64)
    return max(MATRICES, key=lambda number: float(linear @ MATRICES[number]))


def of_quarters(num: int) -> int:
    """The orientation of a turn by `num` quarters counter-clockwise."""
    return (1, 8, 3, 6)[num % 4]


def swaps_sides(orientation: int) -> bool:
    """Whether the stored rows are the columns that are shown."""
    return orientation >= 5


def upright(stored_HWx: np.ndarray, orientation: int) -> np.ndarray:
    """The picture as it is shown; a view where that is possible.  Shape: (H, W, ...) -> (H, W, ...) or (W, H, ...)"""
    shown = stored_HWx.swapaxes(0, 1) if swaps_sides(orientation) else stored_HWx
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return shown[rows, columns]


def stored_part(
    rows: tuple[int, int], columns: tuple[int, int], size_hw: tuple[int, int], orientation: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where a part of the shown picture lies in the stored one.

    size_hw: of the shown one.  Shape: rows, columns (first, end) -> rows, columns
    """
    if orientation in (3, 4, 7, 8):
        rows = size_hw[0] - rows[1], size_hw[0] - rows[0]
    if orientation in (2, 3, 6, 7):
        columns = size_hw[1] - columns[1], size_hw[1] - columns[0]
    return (columns, rows) if swaps_sides(orientation) else (rows, columns)
