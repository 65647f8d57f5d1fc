"""Warp maps and blending, checked on known answers."""

import numpy as np
import pytest

from tasks.compositor import join, warp
from tasks.compositor.geometry import NUM_POINTS, Geometry

RNG = np.random.default_rng(0)


def weight(height=80, width=120):
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.clip(1.5 * (0.9 - np.hypot(x, y)), 0, 1).astype(np.float32)


def picture(height=80, width=120):
    return RNG.integers(30, 220, (height, width, 3), np.uint8)


def test_equal_pictures_stay_unchanged():
    old = picture()
    result, seam = join.joined(old, old, weight())
    assert (result == old).all() and seam == 0


def test_nothing_changes_where_the_weight_is_0():
    old, weights = picture(), weight()
    result, _ = join.joined(picture(), old, weights)
    assert (result == old)[weights == 0].all()
    assert (result != old)[weights > 0.9].any()


def test_a_difference_in_brightness_is_removed():
    old = picture()
    result, _ = join.joined(np.clip(old.astype(int) + 20, 0, 255).astype(np.uint8), old, weight())
    assert np.abs(result.astype(int) - old).max() <= 1


def test_grey_stays_grey():
    old, new = (np.repeat(picture()[..., :1], 3, axis=2) for _ in range(2))
    result, _ = join.joined(new, old, weight())
    assert (result == result[..., :1]).all()


def test_the_inside_shows_the_new_picture_in_full_detail():
    old, new = picture(), picture()
    result, _ = join.joined(new, old, weight())
    inside = weight() > 0.95
    difference = (result.astype(float) - new)[inside]
    assert difference.std() < 8  # brightness only; the two pictures differ with a standard deviation of about 78


@pytest.fixture(scope="module")
def geometry():
    return Geometry(face())


def face():
    """A synthetic face mesh on the canonical head: rings of points around a closed mouth."""
    from model.head_mesh import INNER, OUTER

    radius, turn = np.random.default_rng(1).uniform([[0], [0]], [[0.93], [2 * np.pi]], (2, NUM_POINTS))
    mesh = np.column_stack([0.7 * radius * np.cos(turn), 0.45 + 0.73 * radius * np.sin(turn), np.zeros(NUM_POINTS)])
    turns = np.pi - 2 * np.pi * np.arange(20) / 20
    for ring, wide, high in ((OUTER, 0.28, 0.08), (INNER, 0.2, 0.004)):
        mesh[list(ring), :2] = np.column_stack([wide * np.cos(turns), 0.7 + high * np.sin(turns)])
    jaw = (454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234)
    along = np.linspace(0, np.pi, len(jaw))
    mesh[list(jaw), :2] = np.column_stack([0.72 * np.cos(along), 0.45 + 0.75 * np.sin(along)])
    mesh[2, :2] = 0, 0.45
    return mesh


def in_frame(geometry, mesh, shift=(160.0, 20.0), scale=100.0):
    return geometry.vertices(scale * mesh + [*shift, 0], scale * np.eye(3)).astype(np.float64)


def test_an_unmoved_mouth_gives_maps_of_0(geometry):
    here = in_frame(geometry, face())
    maps = warp.maps(geometry, here, here, here, (240, 320))
    assert not maps.moved_HW.any()
    assert np.abs(maps.library_2HW).max() < 1e-3
    assert maps.weight_HW.max() == pytest.approx(1, abs=0.01)


def test_the_map_points_to_a_shifted_library_mouth(geometry):
    here = in_frame(geometry, face())
    maps = warp.maps(geometry, here, here, here + np.array([5.0, -3.0]), (240, 320))
    inside = maps.weight_HW > 0.5
    assert np.allclose(maps.library_2HW[0][inside], 5, atol=0.05)
    assert np.allclose(maps.library_2HW[1][inside], -3, atol=0.05)


def test_a_constant_map_shifts_the_picture():
    image = picture()
    shift = [np.full((80, 120), 4, np.float32), np.full((80, 120), 2, np.float32)]
    assert (warp.moved(image, shift, (0, 0))[10:60, 10:100] == image[12:62, 14:104]).all()


def test_a_face_outside_the_frame_has_no_map(geometry):
    here = in_frame(geometry, face(), shift=(2000.0, 20.0))
    assert warp.maps(geometry, here, here, here, (240, 320)) is None


def test_a_lowered_jaw_moves_its_surroundings_and_not_the_ring(geometry):
    mesh = face()
    low = mesh.copy()
    low[[152, 148, 377], 1] += 0.05
    here, wanted = in_frame(geometry, mesh), in_frame(geometry, low)
    wanted[geometry.ring()] = here[geometry.ring()]
    maps = warp.maps(geometry, wanted, here, here, (240, 320))
    assert maps.moved_HW.any()
    assert min(maps.jaw_2HW[1].min(), 0) == pytest.approx(-5, abs=1.0)
    edge = np.concatenate([maps.jaw_2HW[1][[0, -1]].ravel(), maps.jaw_2HW[1][:, [0, -1]].ravel()])
    assert np.abs(edge).max() < 0.5
