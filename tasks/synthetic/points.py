"""The points of the mesh that are the 68 landmarks of iBUG's scheme: the ground truth of every frame.

0-16 jaw, 17-26 brows, 27-35 nose, 36-47 eyes, 48-59 outer lips, 60-67 inner lips
"""

import numpy as np

from tasks.synthetic.curves import Array
from tasks.synthetic.grid import Grid
from tasks.synthetic.identity import Identity
from tasks.synthetic.skin import lower_lip_edge, upper_lip_edge

JAW_Y = (0.12, -0.0225, -0.165, -0.3075, -0.45, -0.60, -0.7233, -0.8467, -0.99)  # from the ear to the chin
JAW_X = ((-0.99, -0.93, -0.8, -0.6, -0.3, 0.2), (0.0, 0.19, 0.37, 0.53, 0.655, 0.735))  # half width at heights
BROW_X = (0.46, 0.37, 0.28, 0.19, 0.12)
EYE_RING = ((-1, 0), (-0.35, 0.8), (0.35, 0.8), (1, 0), (0.35, -0.6), (-0.35, -0.6))  # shares of width, height


def landmarks(person: Identity, grid: Grid) -> Array:
    """Indices into the points of both sheets, row by row.  Shape: -> (68,) int"""
    return np.array(_jaw(person, grid) + _brows_and_nose(person, grid) + _eyes(person, grid) + _lips(person, grid))


def _nearest(grid: Grid, x: float, y: float, sheet: str = "both") -> int:
    num_rows, num_columns = grid.x_RC.shape
    first = grid.num_upper if sheet == "lower" else 0
    rows = slice(first, grid.num_upper if sheet == "upper" else num_rows)
    distance = (grid.x_RC[rows] - x) ** 2 + (grid.y_RC[rows] - y) ** 2
    distance = distance + 10 * (np.abs(grid.angle_RC[rows]) > 1.75)  # never on the back of the head
    return int(distance.argmin()) + first * num_columns


def _jaw(person: Identity, grid: Grid) -> list[int]:
    heights = [float(grid.y_RC[np.abs(grid.y_RC[:, 0] - y).argmin(), 0]) for y in JAW_Y]
    widths = [float(np.interp(y, *JAW_X)) * (0.5 + 0.5 * person.jaw) * person.width for y in JAW_Y]
    half = list(zip(widths, heights, strict=True))
    return [_nearest(grid, -x, y) for x, y in half] + [_nearest(grid, x, y) for x, y in half[-2::-1]]


def _brows_and_nose(person: Identity, grid: Grid) -> list[int]:
    brow_y = person.brow_y + person.brow_arch * 0.5
    brows = [_nearest(grid, x, brow_y) for x in (*(-x for x in BROW_X), *BROW_X[::-1])]
    bridge = [_nearest(grid, 0, y) for y in (*(person.eye_y - drop for drop in (0, 0.13, 0.26)), person.nose_y)]
    base = [_nearest(grid, x * person.nose_width, person.nose_y - 0.11) for x in (-0.13, -0.065, 0, 0.065, 0.13)]
    return brows + bridge + base


def _eyes(person: Identity, grid: Grid) -> list[int]:
    indices = []
    for side in (-1, 1):
        for across, up in EYE_RING:
            tilt = person.eye_tilt * across * side * person.eye_width
            x = side * person.eye_x + across * person.eye_width
            indices.append(_nearest(grid, x, person.eye_y + up * person.eye_height + tilt))
    return indices


def _lips(person: Identity, grid: Grid) -> list[int]:
    width, seam = person.mouth_width, person.mouth_y

    def at(share: float, sheet: str, edge: float = 0.0) -> int:
        return _nearest(grid, share * width, seam + edge, sheet)

    def upper(share: float) -> int:
        return at(share, "upper", float(upper_lip_edge(person, np.array(share * width))))

    def lower(share: float) -> int:
        return at(share, "lower", -float(lower_lip_edge(person, np.array(share * width))))

    outer = [upper(s) for s in (-1, -0.6, -0.25, 0, 0.25, 0.6, 1)] + [lower(s) for s in (0.6, 0.3, 0, -0.3, -0.6)]
    inner = [at(s, "upper") for s in (-0.9, -0.4, 0, 0.4, 0.9)] + [at(s, "lower") for s in (0.4, 0, -0.4)]
    return outer + inner
