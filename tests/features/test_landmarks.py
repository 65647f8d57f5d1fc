"""The landmark predictor, trained on 60 people instead of 500."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from model import faces
from tasks.core.errors import UserError
from tasks.features import face_track, landmarks
from tasks.features.crop import crop as cut_face
from tasks.features.landmarks import Predictor
from tasks.landmarks import rendered_heads
from tasks.synthetic import identity, picture, scene
from tasks.synthetic.head import Head
from tasks.synthetic.mouth import Mouth

SIZE = 96


@pytest.fixture(scope="module")
def examples():
    return rendered_heads.render_examples(0, 0, 60)


@pytest.fixture(scope="module")
def predictor_file(examples, tmp_path_factory):
    path = tmp_path_factory.mktemp("landmarks") / "landmarks.dat"
    landmarks.train(examples, path, seed=0)
    return path


@pytest.fixture(scope="module")
def predictor(predictor_file):
    return Predictor(predictor_file)


@pytest.fixture(scope="module")
def speaker():
    """An unseen person, mouth opening and closing: crops (T, S, S, 3), true landmarks (T, 68, 2), openings (T,)."""
    take = scene.draw(7, 160)
    actor = picture.Actor(Head(identity.draw(7)), take, 48.0)
    openings = 0.1 * (1 - np.cos(np.linspace(0, 6 * np.pi, 40)))
    noise = np.random.default_rng(0)
    filmed = [picture.render(take, [(actor, Mouth(opening=x), picture.Pose(yaw_deg=5))], noise) for x in openings]
    box_4 = faces.crop_boxes(face_track.detect(filmed[0].rgb_HW3, 160)[:1])[0]
    crops = np.stack([cut_face(frame.rgb_HW3, box_4, SIZE) for frame in filmed])
    truth = np.stack([(frame.landmarks[0] - box_4[:2]) * SIZE / (box_4[2:] - box_4[:2]) for frame in filmed])
    return crops, truth, openings


def test_the_measured_opening_correlates_with_the_true_one_on_an_unseen_person(predictor, speaker):
    crops, _, openings = speaker
    assert np.corrcoef(faces.aperture(predictor(crops)), openings)[0, 1] > 0.9


def test_points_are_near_the_true_ones(predictor, speaker):
    crops, truth, _ = speaker
    points = predictor(crops)
    assert points.shape == truth.shape and points.dtype == np.float32
    assert np.linalg.norm(points - truth, axis=-1).mean() < 0.05 * SIZE


def test_points_scale_with_the_crop(predictor, speaker):
    crops = speaker[0][:3]
    large = np.stack([cv2.resize(crop, (2 * SIZE, 2 * SIZE)) for crop in crops])
    assert np.abs(predictor(large) / 2 - predictor(crops)).mean() < 0.5


def test_no_crops_give_no_points(predictor):
    assert predictor(np.zeros((0, SIZE, SIZE, 3), np.uint8)).shape == (0, 68, 2)


def test_any_division_of_the_people_gives_the_same_examples(examples):
    parts = rendered_heads.render_examples(0, 3, 1) + rendered_heads.render_examples(0, 4, 2)
    whole = rendered_heads.render_examples(0, 3, 3)
    assert all(np.array_equal(a.grey_SS, b.grey_SS) for a, b in zip(parts, whole, strict=True))
    assert all(np.array_equal(a.points_682, b.points_682) for a, b in zip(parts, whole, strict=True))


def test_the_same_examples_and_seed_give_the_same_bytes(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(landmarks, "CASCADES", 3)

    def trained(name: str, seed: int) -> str:
        landmarks.train(examples[:30], tmp_path / name, seed)
        return hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()

    assert trained("one", 1) == trained("two", 1) != trained("three", 2)


def test_a_missing_or_damaged_file_says_what_to_run(predictor_file, tmp_path):
    with pytest.raises(UserError, match=r"none\.dat: no such landmark predictor; run `dvc repro landmarks`"):
        Predictor(Path("none.dat"))
    damaged = tmp_path / "damaged.dat"
    damaged.write_bytes(predictor_file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"damaged\.dat: not a landmark predictor"):
        Predictor(damaged)
