"""A picture warped by the mesh in it."""

import cv2
import numpy as np
import pytest

from tasks.edit import morph

POINTS = np.random.default_rng(3).normal([160, 140], [8, 10], (468, 2))
PICTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (288, 360, 3)).astype(np.uint8), (0, 0), 4)


def test_a_face_that_moves_takes_its_pixels_along_and_the_edges_stay():
    out = morph.warped(PICTURE, POINTS, POINTS + np.array([3.0, -2.0]))
    face = slice(125, 155), slice(148, 172)
    moved = PICTURE[face[0].start + 2 : face[0].stop + 2, face[1].start - 3 : face[1].stop - 3]
    assert np.abs(out[face].astype(int) - moved).mean() < 1.0
    assert (
        (out[:2] == PICTURE[:2]).all() and (out[-2:] == PICTURE[-2:]).all() and (out[:, -2:] == PICTURE[:, -2:]).all()
    )


def test_a_face_that_does_not_move_leaves_the_picture_untouched():
    assert morph.warped(PICTURE, POINTS, POINTS + 0.01) is PICTURE


def test_a_warp_and_its_inverse_give_the_picture_back():
    turn = cv2.getRotationMatrix2D((160, 140), 3, 1.02)
    turned = POINTS @ turn[:, :2].T + turn[:, 2]
    there = morph.warped(PICTURE, POINTS, turned)
    back = morph.warped(there, turned, POINTS)
    face = slice(115, 165), slice(140, 180)
    moved, left = (np.abs(one[face].astype(int) - PICTURE[face]).mean() for one in (there, back))
    assert left < moved / 3 and moved > 0.5


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_dissolve_is_between_its_pictures(share):
    one, other = np.full((4, 4, 3), 40, np.uint8), np.full((4, 4, 3), 80, np.uint8)
    assert (morph.dissolved(one, other, share) == 40 + 40 * share).all()
