import numpy as np
import pytest

from model import head_mesh
from model.head_mesh import MOUTH, RIGID


def turned(yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0):
    """Rotation for row vectors: the nose to the viewer's right, then down, then clockwise in the image."""
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def head(opening=0.1, seed=0):
    """A mesh on the canonical head whose lips are open by `opening`."""
    mesh_4683 = np.random.default_rng(seed).normal(0, 0.3, (468, 3))
    mesh_4683[list(RIGID)] = list(RIGID.values())
    mouth_S3 = mesh_4683[list(MOUTH)]
    mouth_S3[head_mesh.UPPER_INNER, 1] = 0.8
    mouth_S3[head_mesh.LOWER_INNER, 1] = 0.8 + opening
    mesh_4683[list(MOUTH)] = mouth_S3
    return mesh_4683


def filmed(mesh_4683, rotation_33=None, px=70.0, at=(180.0, 120.0, 5.0)):
    return mesh_4683 @ (np.eye(3) if rotation_33 is None else rotation_33) * px + at


def test_the_canonical_head_is_symmetric_and_one_eye_distance_wide():
    points = np.array(list(RIGID.values()))
    mirrored = points * [-1, 1, 1]
    assert all(np.abs(points - point).max(axis=1).min() < 1e-9 for point in mirrored)
    assert RIGID[263][0] - RIGID[33][0] == 1


def test_to_canonical_and_back_gives_the_same_points():
    meshes = np.stack([filmed(head(), turned(20, -10, 5)), filmed(head(), turned(-35, 12, -20), px=31)])
    placed = head_mesh.place(meshes)
    on_head = head_mesh.to_canonical(meshes, placed)
    np.testing.assert_allclose(on_head, [head(), head()], atol=1e-9)
    np.testing.assert_allclose(head_mesh.from_canonical(on_head, placed), meshes, atol=1e-6)


@pytest.mark.parametrize(("name", "number"), [("yaw_deg", 0), ("pitch_deg", 1), ("roll_deg", 2)])
def test_a_rotation_about_one_axis_is_measured_in_degrees(name, number):
    placed = head_mesh.place(
        np.stack([filmed(head(), turned(**{name: 25.0})), filmed(head(), turned(**{name: -40.0}))])
    )
    expected = np.zeros((2, 3))
    expected[:, number] = 25, -40
    np.testing.assert_allclose(head_mesh.pose_deg(placed), expected, atol=1e-6)


def test_placement_never_mirrors_a_head_even_with_inverted_depth():
    inside_out = head() * [1, 1, -0.3]
    [rotation_33] = head_mesh.place(filmed(inside_out)[None]).rotation_T33
    assert np.linalg.det(rotation_33) == pytest.approx(1)


def test_a_frame_without_a_face_gives_nan():
    meshes = np.stack([filmed(head(0.1)), np.full((468, 3), np.nan), filmed(head(0.2))])
    np.testing.assert_allclose(head_mesh.opening(meshes), [0.1, np.nan, 0.2], atol=1e-9)


def test_yaw_is_positive_when_the_nose_points_to_the_viewers_right():
    mesh = filmed(head(), turned(yaw_deg=30.0))
    eyes_px, nose_px = mesh[[33, 263], 0].mean(), mesh[1, 0]
    assert nose_px > eyes_px


@pytest.mark.parametrize("rotation", [turned(), turned(30, 10, -15), turned(-40, -8, 20)])
def test_the_opening_does_not_depend_on_size_place_or_pose(rotation):
    meshes = np.stack([filmed(head(opening), rotation, px=50.0) for opening in (0.0, 0.12, 0.3)])
    np.testing.assert_allclose(head_mesh.opening(meshes), [0.0, 0.12, 0.3], atol=1e-9)


def test_a_closed_mouth_is_the_mean_of_the_least_open_fifth():
    meshes = np.stack([filmed(head(opening)) for opening in (0.2, 0.02, 0.3, 0.25, 0.28, 0.04, 0.2, 0.2, 0.2, 0.2)])
    closed = head_mesh.closed_mouth(head_mesh.mouths(meshes))
    assert head_mesh.mouth_opening(closed[None])[0] == pytest.approx(0.03)


def test_crossing_lips_are_moved_to_touch_and_open_lips_stay():
    mouths = head_mesh.mouths(np.stack([filmed(head(-0.1)), filmed(head(0.1))]))
    apart = head_mesh.without_overlap(mouths)
    np.testing.assert_allclose(head_mesh.mouth_opening(apart), [0, 0.1], atol=1e-9)
    np.testing.assert_allclose(apart[0, head_mesh.LOWER_INNER, 1], 0.75, atol=1e-9)
    np.testing.assert_array_equal(apart[1], mouths[1])


def test_a_stored_mesh_comes_back_and_takes_at_most_a_kilobyte():
    rng = np.random.default_rng(0)
    mesh = rng.uniform(-40, 140, (5, head_mesh.NUM_POINTS, 3)).astype(np.float32)
    mesh[2] = np.nan
    stored = head_mesh.packed(mesh, 96)
    assert stored.dtype == np.int16 and stored[0].nbytes <= 1000
    again = head_mesh.unpacked(stored, 96)
    kept = list(head_mesh.STORED)
    assert np.isnan(again[2]).all() and np.isnan(np.delete(again, kept, axis=1)).all()
    assert np.nanmax(np.abs(again[:, kept] - mesh[:, kept])) <= 96 / head_mesh.UNITS / 2 + 1e-4
    assert np.isfinite(head_mesh.pose_deg(head_mesh.place(again))[0]).all()
    assert np.isfinite(head_mesh.opening(again)[0]) and np.isfinite(head_mesh.landmarks(again)).all()


def test_points_far_outside_the_crop_are_clipped_not_lost():
    mesh = np.full((1, head_mesh.NUM_POINTS, 3), 5000.0, np.float32)
    assert np.isfinite(head_mesh.unpacked(head_mesh.packed(mesh, 96), 96)[:, list(head_mesh.STORED)]).all()


def test_a_mesh_in_a_crop_is_where_the_crop_shows_it():
    mesh = np.full((1, head_mesh.NUM_POINTS, 3), 30.0, np.float32)
    assert head_mesh.in_crops(mesh, np.array([[10.0, 20.0, 50.0, 60.0]]), 80)[0, 0].tolist() == [40, 20, 60]
