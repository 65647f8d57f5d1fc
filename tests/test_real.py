"""benchmarks/real.py: its metrics of points and images, and the instrument where its environment is installed."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

from model import head_mesh
from tasks.core import config
from tasks.core.errors import UserError
from tasks.media.encode import encode_video

sys.path.insert(0, str(ROOT))
from benchmarks import lip_pictures, offsets, real

GRID = ROOT.parent / "shared/grid"
INSTRUMENT = os.environ.get("LIPGAN_INSTRUMENT", "")
needs_instrument = pytest.mark.skipif(
    not (INSTRUMENT and GRID.is_dir()), reason="needs LIPGAN_INSTRUMENT and part of GRID in ../shared/grid"
)


def video(path, frames):
    with path.open("wb") as out:
        encode_video(out, frames, np.zeros(640 * len(frames), np.float32))
    return path


def lips_in(size, centre, reach):
    """468 points with the lip points in a square."""
    points_4683 = np.zeros((468, 3))
    points_4683[lip_pictures.LIPS, :2] = np.random.default_rng(0).uniform(-reach, reach, (40, 2)) + centre
    return np.repeat(points_4683[None], size, axis=0)


def test_blur_lowers_sharpness_and_pixels_outside_the_mouth_do_not_count(tmp_path):
    rng = np.random.default_rng(0)
    sharp = np.repeat(rng.integers(0, 255, (12, 12, 1), np.uint8).repeat(8, 0).repeat(8, 1), 3, axis=2)
    outside = sharp.copy()
    outside[:20] = outside[-20:] = 128
    points = lips_in(5, 48, 20)
    values = [
        lip_pictures.sharpness(video(tmp_path / f"{name}.mp4", [frame] * 5), points)
        for name, frame in (("sharp", sharp), ("blurred", cv2.GaussianBlur(sharp, (0, 0), 4)), ("outside", outside))
    ]
    assert values[1] < 0.6 * values[0]
    assert values[2] == pytest.approx(values[0], rel=0.05)


def opened_mouth(gaps_px):
    """(T, 468, 3) points of a head whose inner lips, 40 px wide, are open so far; 100 px between the eyes."""
    points_T4683 = np.zeros((len(gaps_px), 468, 3))
    for number, place in head_mesh.RIGID.items():
        points_T4683[:, number] = np.array(place) * 100 + [96, 60, 0]
    across = np.linspace(-20, 20, 11)
    for t, gap in enumerate(gaps_px):
        for numbers, side in ((head_mesh.INNER[:11], 1), (head_mesh.INNER[11:], -1)):
            x = across if side == 1 else across[9:0:-1]
            points_T4683[t, numbers, 0] = 96 + x
            points_T4683[t, numbers, 1] = 128 + side * gap / 2 * (1 - (x / 21) ** 2)
    return points_T4683


def test_teeth_that_come_and_go_flicker_and_a_steady_inside_does_not(tmp_path):
    points = opened_mouth([16, 20, 16, 20, 16, 20, 16, 20])
    steady = np.full((192, 192, 3), 60, np.uint8)
    teeth = steady.copy()
    teeth[118:127] = 200
    outside = steady.copy()
    outside[150:] = 200
    coming, around, still = (
        lip_pictures.flicker(video(tmp_path / f"{k}.mp4", frames * 4), points)
        for k, frames in enumerate(([steady, teeth], [steady, outside], [teeth, teeth]))
    )
    assert coming > 20 * max(around, still, 1.0)
    assert np.isnan(lip_pictures.flicker(tmp_path / "0.mp4", opened_mouth([1] * 8)))


def test_the_table_ends_with_the_mean():
    text = real.table({"a": {"opening_r": 0.5}, "b": {"opening_r": 0.7}})
    assert text.splitlines()[-1].split() == ["mean", "0.600"]


def test_people_without_a_video_and_a_wrong_environment_are_user_errors(tmp_path, monkeypatch):
    (tmp_path / "ann").mkdir()
    with pytest.raises(UserError, match="ann: no video"):
        real.videos_of(tmp_path, ["ann"])
    monkeypatch.setenv("LIPGAN_INSTRUMENT", str(tmp_path))
    with pytest.raises(UserError, match="no environment with MediaPipe"):
        real.environment()


def test_a_second_predictor_that_is_not_there_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"--dlib .*none.dat: no such file"):
        real.second_predictor(str(tmp_path / "none.dat"))


def test_an_environment_that_was_not_completed_is_made_again(tmp_path, monkeypatch):
    monkeypatch.delenv("LIPGAN_INSTRUMENT", raising=False)
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(real, "PACKAGES", (str(tmp_path / "no-such-wheel.whl"),))
    for _ in range(2):
        with pytest.raises(UserError, match=r"no-such-wheel.whl: pip cannot install it"):
            real.environment()


@pytest.mark.skipif(not GRID.is_dir(), reason="needs part of GRID in ../shared/grid")
def test_offsets_of_filmed_people_are_counted_and_right():
    rows = offsets.offsets(GRID / "video", ["p04+p06", "p08"], config.load(ROOT / "params.yaml"))
    pair = rows["p04+p06"]
    assert pair["in_sync"] == pair["left_in_sync"] == [2, 2] and rows["p08"]["in_sync"] == [1, 1]
    assert pair["planted_moved"][1] == 2 * len(offsets.PLANTED) and pair["planted_moved"][0] >= 26
    assert pair["foreign_person"][1] == pair["speaker"][1] == 4 and pair["speaker"][0] == 4
    assert "28 of 28" in offsets.table({"p04+p06": pair | {"planted_measured": [28, 28]}})


@needs_instrument
def test_the_instrument_reproduces_the_reference_points_of_grid():
    clip = Path(GRID / "video/p04/utterance.mpg")
    with np.load(GRID / "reference/p04.npz") as reference:
        expected, names = reference["utterance"], reference["points"]
    points = real.points(clip)
    num = min(len(points), len(expected))
    assert np.abs(points[:num, names, :2] - expected[:num]).mean() < 0.1  # px


@needs_instrument
def test_a_recording_against_itself_is_perfect_and_the_shifted_control_is_not():
    clip = GRID / "video/p04/utterance.mpg"
    row = real.judged(clip, clip, clip)
    assert (row["opening_r"], row["amplitude"], row["lag_frames"], row["sharpness"]) == (1, 1, 0, 1)
    assert (row["own_amplitude"], row["flicker"], row["moved_excess"]) == (1, 1, 0)
    assert abs(row["moved_r"]) < 0.3
