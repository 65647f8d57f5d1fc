"""What a mouth shows between the lips."""

import numpy as np
import pytest

from model import between_lips
from model.between_lips import CELLS, COLUMNS
from model.head_mesh import LOWER_INNER, MOUTH, UPPER_INNER


def crop(cells=None, skin=120, dark=40):
    """A crop of skin with a dark mouth open from row 18 to 30; `cells`: levels to draw into it."""
    picture = np.full((48, 64, 3), skin, np.uint8)
    picture[18:30, 14:50] = dark
    for number, level in (cells or {}).items():
        row, column = divmod(number, COLUMNS)
        picture[18 + 6 * row : 24 + 6 * row, 14 + 12 * column : 26 + 12 * column] = level
    return picture


def lips():
    points = np.zeros((40, 2))
    across = 14 + 36 * (np.arange(9) + 0.5) / 9
    points[list(LOWER_INNER)] = np.stack([across, np.full(9, 30.0)], axis=1)
    points[list(UPPER_INNER)] = np.stack([across, np.full(9, 18.0)], axis=1)
    return points


def levels(*crops):
    return between_lips.levels(np.stack(crops), np.repeat(lips()[None], len(crops), axis=0))


@pytest.mark.parametrize("cell", range(CELLS))
def test_teeth_are_bright_in_the_cells_in_which_they_are_seen(cell):
    plain, teeth = levels(crop(), crop({cell: 200}))
    mean = crop({cell: 200}).mean()
    assert teeth[cell] == pytest.approx(200 / mean, rel=0.05)
    assert np.delete(teeth, cell) == pytest.approx(np.delete(plain, cell), abs=0.08)  # the crop's mean has changed


def test_half_the_light_gives_the_same_levels():
    bright, dim = levels(crop({1: 200}), crop({1: 100}, 60, 20))
    assert bright == pytest.approx(dim, abs=1e-5)


def test_lips_at_the_crops_edge_and_beyond_are_read():
    far = lips()[None] + [[[60, 40]]]
    assert np.isfinite(between_lips.levels(crop()[None], far)).all()


def mouths(*openings):
    shapes = np.zeros((len(openings), len(MOUTH), 3))
    shapes[:, LOWER_INNER, 1] = np.array(openings)[:, None]
    return shapes


def test_of_a_person_only_what_is_unusual_and_seen_counts():
    seen = np.full((4, CELLS), 0.5, np.float32)
    seen[1], seen[3] = 0.9, 0.1
    wide, teeth, closed, dark = between_lips.looks(seen, mouths(0.1, 0.1, -0.01, 0.1))
    assert (closed == 0).all()
    assert teeth == pytest.approx(0.4) and dark == pytest.approx(-0.4) and wide == pytest.approx(0, abs=1e-6)
    ajar = between_lips.looks(seen, mouths(0.1, between_lips.SEEN / 2, 0, 0.1))[1]
    assert (np.abs(ajar) < np.abs(teeth)).all()
