"""The face mesh followed through a video: between the frames it sees, and where the detector loses the face."""

import dataclasses

import cv2
import numpy as np
import pytest
from conftest import REAL, ROOT

from model import head_mesh
from tasks.core import config
from tasks.features import face_mesh, face_track, lip_refiner, mesh_follower, mesh_model
from tasks.media import decode

P = config.load(ROOT / "params.yaml").faces
pytestmark = [
    pytest.mark.skipif(not REAL.is_dir(), reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
]


@pytest.fixture(scope="module")
def frames():
    return list(decode.frames(REAL / "grid_bbaf2n.mpg"))


def tracked(frames, p=P):
    return face_track.track(frames, p, None, lip_refiner.released())


@pytest.fixture(scope="module")
def followed(frames):
    return tracked(frames)


def test_the_mouth_is_read_as_where_the_mesh_sees_every_frame(frames, followed):
    every = face_mesh.track(frames, list(followed.boxes_T4), lip_refiner.released())
    one, other = head_mesh.opening(followed.mesh.mesh_T4683), head_mesh.opening(every.mesh_T4683)
    assert followed.mesh.found_T.all() and np.corrcoef(one, other)[0, 1] > 0.98
    eyes_px = np.linalg.norm(every.mesh_T4683[:, 33] - every.mesh_T4683[:, 263], axis=1).mean()
    apart = np.linalg.norm(followed.mesh.mesh_T4683 - every.mesh_T4683, axis=2) / eyes_px
    assert apart.mean() < 0.02


def test_boxes_are_those_without_the_mesh_where_the_detector_finds_the_face(frames, followed):
    without = face_track.track(frames, P)
    assert without.mesh is None and without.found_T.all()
    assert np.array_equal(without.boxes_T4, followed.boxes_T4)


@pytest.fixture(scope="module")
def tilting(frames):
    """The head tilts by 85 degrees and back: dlib's detector is for upright faces."""
    height, width = frames[0].shape[:2]
    angles = 85 * np.sin(np.linspace(0, np.pi, len(frames)))
    return [
        cv2.warpAffine(frame, cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1), (width, height))
        for frame, angle in zip(frames, angles, strict=True)
    ]


def test_a_face_that_the_detector_loses_and_the_mesh_holds_is_kept_with_a_box_around_it(tilting):
    lost = ~face_track.track(tilting, P).found_T
    followed = tracked(tilting)
    assert 10 < lost.sum() < 60  # or this shows nothing
    assert followed.found_T.all() and followed.mesh.found_T.all()
    middle_T2 = (followed.boxes_T4[:, :2] + followed.boxes_T4[:, 2:]) / 2
    nose_T2 = followed.mesh.mesh_T4683[:, 4, :2]
    size_T = followed.boxes_T4[:, 2] - followed.boxes_T4[:, 0]
    assert (np.linalg.norm(middle_T2 - nose_T2, axis=1) / size_T)[lost].max() < 0.35
    assert size_T.max() / size_T.min() < 1.5


def test_without_faces_mesh_only_key_frames_have_one(frames):
    sparse = tracked(frames, dataclasses.replace(P, mesh=False))
    assert np.flatnonzero(sparse.mesh.found_T).tolist() == [0, 25, 50, 74]
    landmarks_T682 = head_mesh.landmarks(sparse.mesh.mesh_T4683)
    assert np.isfinite(landmarks_T682).all()
    assert landmarks_T682[10] == pytest.approx(0.6 * landmarks_T682[0] + 0.4 * landmarks_T682[25], abs=0.01)


def test_where_a_mesh_is_lost_the_frames_between_are_looked_at_one_by_one(frames):
    follower = mesh_follower.MeshFollower(lip_refiner.released(), dense=True)
    box_4 = face_track.detect(frames[0], 640)[0]
    dark = np.zeros_like(frames[0])
    follower.add([frames[0], frames[1], dark, frames[3], frames[4]], [box_4, box_4, None, box_4, box_4])
    assert follower.track().found_T.tolist() == [True, True, False, True, True]


def test_no_frames_give_an_empty_track():
    assert mesh_follower.MeshFollower(lip_refiner.released(), dense=True).track().mesh_T4683.shape == (0, 468, 3)
