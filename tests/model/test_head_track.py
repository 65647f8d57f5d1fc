"""Pose and shape of a head over time."""

import numpy as np
import pytest

from model import head_mesh
from model.head_track import angles_deg, steady


def head(num=468):
    """A mesh with the canonical rigid points and random other points."""
    mesh = np.random.default_rng(0).uniform(-1, 1, (num, 3))
    mesh[list(head_mesh.RIGID)] = list(head_mesh.RIGID.values())
    return mesh


def turned(mesh, yaw_deg=0.0, pitch_deg=0.0, scale=100.0, shift=(200.0, 150.0, 0.0)):
    """Yaw: the nose to the viewer's right; pitch: the nose down."""
    a, b = np.radians(yaw_deg), np.radians(pitch_deg)
    yaw = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return scale * mesh @ (pitch @ yaw).T + shift


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (25, 0), (-25, 0), (0, 15), (0, -15)])
def test_angles_are_those_of_the_rotation(yaw, pitch):
    heads = steady(np.stack([turned(head(), yaw, pitch)]))
    assert np.allclose(angles_deg(heads)[0], (yaw, pitch), atol=0.01)


def test_shape_and_pose_reconstruct_the_mesh():
    meshes = np.stack([turned(head(), 10, 5), turned(head(), -10, 0, scale=80.0)])
    heads = steady(meshes, 0, 0)
    assert np.allclose([heads.mesh(t) for t in range(2)], meshes, atol=1e-6)


def test_smoothing_keeps_uniform_motion():
    meshes = np.stack([turned(head(), shift=(200 + 3 * t, 150 - t, 0)) for t in range(20)])
    heads = steady(meshes)
    assert np.allclose([heads.mesh(t) for t in range(6, 14)], meshes[6:14], atol=1e-6)


def test_smoothing_reduces_jitter():
    still = turned(head())
    noisy = still + np.random.default_rng(1).normal(0, 0.5, (60, *still.shape))
    heads = steady(noisy)
    lips = list(head_mesh.MOUTH)
    before = np.abs(np.diff(noisy[:, lips], axis=0)).mean()
    after = np.abs(np.diff([heads.mesh(t)[lips] for t in range(60)], axis=0)).mean()
    assert after < 0.6 * before
