"""benchmarks/real.py: what it measures of points and pictures, and the instrument itself where its environment is."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

from tasks.core.errors import UserError
from tasks.media.encode import encode_video

sys.path.insert(0, str(ROOT))
from benchmarks import real

GRID = ROOT.parent / "shared/grid"
INSTRUMENT = os.environ.get("LIPGAN_INSTRUMENT", "")
needs_instrument = pytest.mark.skipif(
    not (INSTRUMENT and GRID.is_dir()), reason="needs LIPGAN_INSTRUMENT and a part of GRID in ../shared/grid"
)


def video(path, frames):
    with path.open("wb") as out:
        encode_video(out, frames, np.zeros(640 * len(frames), np.float32))
    return path


def lips_in(size, centre, reach):
    """468 points of which the lips' lie in a square."""
    points_4683 = np.zeros((468, 3))
    points_4683[real.LIPS, :2] = np.random.default_rng(0).uniform(-reach, reach, (40, 2)) + centre
    return np.repeat(points_4683[None], size, axis=0)


def test_a_blurred_mouth_is_less_sharp_and_the_rest_of_the_picture_does_not_count(tmp_path):
    rng = np.random.default_rng(0)
    sharp = np.repeat(rng.integers(0, 255, (12, 12, 1), np.uint8).repeat(8, 0).repeat(8, 1), 3, axis=2)
    outside = sharp.copy()
    outside[:20] = outside[-20:] = 128
    points = lips_in(5, 48, 20)
    of = [
        real.sharpness(video(tmp_path / f"{name}.mp4", [frame] * 5), points)
        for name, frame in (("sharp", sharp), ("blurred", cv2.GaussianBlur(sharp, (0, 0), 4)), ("outside", outside))
    ]
    assert of[1] < 0.6 * of[0]
    assert of[2] == pytest.approx(of[0], rel=0.05)


def test_the_table_ends_with_the_mean():
    text = real.table({"a": {"opening_r": 0.5}, "b": {"opening_r": 0.7}})
    assert text.splitlines()[-1].split() == ["mean", "0.600"]


def test_people_without_a_video_and_a_wrong_environment_are_one_line(tmp_path, monkeypatch):
    (tmp_path / "ann").mkdir()
    with pytest.raises(UserError, match="ann: no video"):
        real.videos_of(tmp_path, ["ann"])
    monkeypatch.setenv("LIPGAN_INSTRUMENT", str(tmp_path))
    with pytest.raises(UserError, match="no environment with MediaPipe"):
        real.environment()


@needs_instrument
def test_the_instrument_reads_grid_as_its_published_reference_does():
    clip = Path(GRID / "video/p04/utterance.mpg")
    with np.load(GRID / "reference/p04.npz") as reference:
        wanted, names = reference["utterance"], reference["points"]
    found = real.points(clip)
    num = min(len(found), len(wanted))
    assert np.abs(found[:num, names, :2] - wanted[:num]).mean() < 0.1  # px


@needs_instrument
def test_a_recording_beside_itself_is_perfect_and_moved_it_is_not():
    clip = GRID / "video/p04/utterance.mpg"
    row = real.judged(clip, clip, clip)
    assert (row["opening_r"], row["amplitude"], row["lag_frames"], row["sharpness"]) == (1, 1, 0, 1)
    assert abs(row["moved_r"]) < 0.3
