"""The 68 points and the head pose that the face mesh and the lip refiner read from face crops."""

import numpy as np
import pytest

from model import faces, head_mesh
from tasks.core.errors import UserError
from tasks.features import face_mesh, face_track, mesh_model
from tasks.features.crop import crop as cut_face
from tasks.features.mesh_points import MeshPoints
from tasks.synthetic import identity, picture, scene
from tasks.synthetic.head import Head
from tasks.synthetic.mouth import Mouth

SIZE = 96
pytestmark = pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`")


def film(poses, openings):
    """A rendered person: crops (T, S, S, 3), true landmarks (T, 68, 2)."""
    take = scene.draw(7, 160)
    actor = picture.Actor(Head(identity.draw(7)), take, 48.0)
    noise = np.random.default_rng(0)
    filmed = [
        picture.render(take, [(actor, Mouth(opening=x), pose)], noise) for x, pose in zip(openings, poses, strict=True)
    ]
    box_4 = faces.crop_boxes(face_track.detect(filmed[0].rgb_HW3, 160)[:1])[0]
    crops = np.stack([cut_face(frame.rgb_HW3, box_4, SIZE) for frame in filmed])
    truth = np.stack([(frame.landmarks[0] - box_4[:2]) * SIZE / (box_4[2:] - box_4[:2]) for frame in filmed])
    return crops, truth


@pytest.fixture(scope="module")
def speaker():
    """Mouth opening and closing: crops (T, S, S, 3), true landmarks (T, 68, 2), openings (T,)."""
    openings = 0.1 * (1 - np.cos(np.linspace(0, 6 * np.pi, 40)))
    return *film([picture.Pose(yaw_deg=5)] * 40, openings), openings


def test_the_measured_opening_correlates_with_the_true_one(speaker):
    crops, _, openings = speaker
    assert np.corrcoef(faces.aperture(MeshPoints()(crops)), openings)[0, 1] > 0.95


def test_the_lips_are_where_they_are(speaker):
    crops, truth, _ = speaker
    away = MeshPoints()(crops)[:, 48:].mean(axis=1) - truth[:, 48:].mean(axis=1)
    eyes = np.linalg.norm(truth[:, 45] - truth[:, 36], axis=1)
    assert (np.linalg.norm(away, axis=1) / eyes).max() < 0.06


def test_points_scale_with_the_crop(speaker):
    crops, _, _ = speaker
    large = np.repeat(np.repeat(crops, 2, axis=1), 2, axis=2)
    assert np.abs(MeshPoints()(large) / 2 - MeshPoints()(crops)).mean() < 0.5


def test_yaw_pitch_and_roll_have_the_sign_and_size_of_the_heads_turn():
    turns = np.linspace(-25, 25, 11)
    for axis, name in enumerate(("yaw_deg", "pitch_deg", "roll_deg")):
        crops, _ = film([picture.Pose(**{name: turn}) for turn in turns], np.zeros(11))
        measured = head_mesh.pose_deg(head_mesh.place(MeshPoints().meshes(crops)))[:, axis]
        slope = np.polyfit(turns, measured, 1)[0]
        assert 0.7 < (-slope if name == "roll_deg" else slope) < 1.3, name  # the renderer's roll is anticlockwise


def test_no_crops_give_no_points():
    assert MeshPoints()(np.zeros((0, SIZE, SIZE, 3), np.uint8)).shape == (0, 68, 2)


def test_the_same_crops_give_the_same_bytes(speaker):
    crops, _, _ = speaker
    assert MeshPoints()(crops).tobytes() == MeshPoints()(crops).tobytes()


def test_a_missing_model_is_an_error_before_the_first_crop(monkeypatch, tmp_path):
    monkeypatch.setenv("LIPGAN_MODELS", str(tmp_path))
    monkeypatch.delattr(face_mesh._of_thread, "mesh", raising=False)
    with pytest.raises(UserError, match="the face mesh model is missing"):
        MeshPoints()
