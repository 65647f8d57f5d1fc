"""What covers a mouth is found, and a moving mouth is not taken for covered."""

import sys

import numpy as np
import pytest
from conftest import REAL, ROOT, inside

from tasks.dubbing import occlusion
from tasks.features import mesh_model
from tasks.media import decode

sys.path.insert(0, str(ROOT))
from benchmarks import covers

NUM = occlusion.ROWS * occlusion.COLUMNS * 3


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips in ../shared/real are not here")
@pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`")
@pytest.mark.parametrize("cover", [covers.hand, covers.microphone], ids=["hand", "microphone"])
def test_a_cover_is_found_where_it_is_and_nowhere_else(cover):
    with inside(ROOT):
        frames, hidden_T = covers.planted(list(decode.frames(REAL / "grid_bbaf2n.mpg")), cover)
        called_T = covers.called_covered(frames)
    assert called_T[hidden_T].mean() > 0.9 and not called_T[~hidden_T].any()


def still(num=40):
    """A textured lower face, the same in every frame."""
    return np.repeat(np.random.default_rng(0).integers(60, 200, (1, NUM), np.uint8), num, axis=0)


def as_pictures(lows_NK):
    return lows_NK.reshape(-1, occlusion.ROWS, occlusion.COLUMNS, 3)


@pytest.mark.parametrize("cells, covered", [(occlusion.MOUTH_HW, False), (occlusion.BESIDE_HW, True)],
                         ids=["mouth", "beside"])  # fmt: skip
def test_a_mouth_that_changes_is_not_covered_and_cheeks_and_chin_that_change_are(cells, covered):
    lows = still()
    as_pictures(lows)[10:15, cells] = 255 - as_pictures(lows)[10:15, cells]
    assert occlusion.covered(lows, np.ones(40, bool)).tolist() == [covered and 10 <= n < 15 for n in range(40)]


def test_light_that_changes_and_a_head_that_moves_a_little_are_no_cover():
    lows, everywhere = still(), np.ones(40, bool)
    brighter = (lows[20:].astype(int) + 12).clip(0, 255).astype(np.uint8)
    assert not occlusion.covered(np.concatenate([lows[:20], brighter]), everywhere).any()
    moved = lows.copy()
    as_pictures(moved)[30:] = np.roll(as_pictures(moved)[30:], 1, axis=2)
    assert not occlusion.covered(moved, everywhere)[:30].any()


def test_a_face_that_is_never_found_is_never_covered():
    assert not occlusion.covered(still(5), np.zeros(5, bool)).any()


SKIN, LIP = (200, 150, 120), (190, 90, 95)


def faces(colour, cells, num=9):
    """Skin with red lips, and in `cells` something of another colour."""
    lows = np.full((num, NUM), 0, np.uint8)
    as_pictures(lows)[:] = SKIN
    as_pictures(lows)[:, occlusion.LIPS_HW] = LIP
    as_pictures(lows)[:, cells] = colour
    return lows


def half(rows):
    cells = np.zeros((occlusion.ROWS, occlusion.COLUMNS), bool)
    cells[rows, 9:14] = True
    return cells


@pytest.mark.parametrize("colour, rows, blocked", [
    ((40, 38, 36), slice(4, 12), True),  # a microphone, up to the lips
    ((40, 38, 36), slice(8, 12), False),  # below them
    ((40, 38, 36), slice(5, 7), False),  # a dark inside, or teeth: not beyond the mouth
    (LIP, slice(4, 12), False),
    (SKIN, slice(4, 12), False),
])  # fmt: skip
def test_what_has_another_colour_and_reaches_over_the_lips_from_outside_blocks_them(colour, rows, blocked):
    lows, everywhere = faces(colour, half(rows)), np.ones(9, bool)
    assert occlusion.blocked(lows, everywhere, np.array(SKIN, np.uint8)) == blocked
    lows[:5] = faces(SKIN, half(rows))[:5]  # in less than half of the frames: left to `covered`
    assert not occlusion.blocked(lows, everywhere, np.array(SKIN, np.uint8))
    assert not occlusion.blocked(lows, np.zeros(9, bool), np.array(SKIN, np.uint8))


def test_frames_beyond_a_chunk_are_compared_like_the_first(monkeypatch):
    lows, everywhere = still(), np.ones(40, bool)
    lows[[3, 4, 33, 34]] = 255 - lows[[3, 4, 33, 34]]
    whole = occlusion.covered(lows, everywhere)
    monkeypatch.setattr(occlusion, "CHUNK", 7)
    assert np.array_equal(occlusion.covered(lows, everywhere), whole) and whole[[3, 4, 33, 34]].all()
