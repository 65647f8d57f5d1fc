"""What the page takes: photographs as the command line does, and no video longer than its limit."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT
from turned import film, recorded

from tasks.core.errors import UserError
from tasks.serving.uploads import Limits, check

CASES = ROOT.parent / "shared/cases"
FACE = np.full((48, 64, 3), 90, np.uint8)


def test_a_recording_without_a_duration_is_counted_before_it_is_taken(tmp_path):
    path = recorded(tmp_path / "a.webm", FACE, 75)
    assert check(path, "face", Limits(media_s=4)) == pytest.approx(3, abs=0.1)
    with pytest.raises(UserError, match=r"a\.webm lasts 3 s; the limit here is 2 s"):
        check(path, "face", Limits(media_s=2))


@pytest.mark.parametrize("kind", ["face", "sound"])
def test_the_limit_holds_for_the_longer_of_picture_and_sound(kind, tmp_path):
    path = film(tmp_path / "a.mov", [FACE] * 5, sound=np.zeros(3 * 16000, np.float32))
    with pytest.raises(UserError, match="lasts 3 s; the limit here is 2 s"):
        check(path, kind, Limits(media_s=2))


@pytest.mark.parametrize("size_wh", [(4032, 3024), (8160, 6120)])
def test_photographs_of_telephones_are_taken(size_wh, tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), cv2.resize(FACE, size_wh))
    assert check(tmp_path / "a.jpg", "face", Limits()) == 0


def test_a_video_beyond_4k_is_refused_by_its_size(tmp_path):
    path = film(tmp_path / "a.mov", [np.zeros((4320, 7680, 3), np.uint8)])
    with pytest.raises(UserError, match="is 7680 x 4320; the limit here is 4096 x 2304 for a video"):
        check(path, "face", Limits())


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not at hand")
@pytest.mark.parametrize(
    ("name", "lasts_s"),
    [
        ("photo-heic-tile-grid.heic", 0),
        ("picture-12-megapixels.jpg", 0),
        ("picture-animated.webp", 0),
        ("video-recorder-without-duration.webm", None),
    ],
)
def test_a_case_is_taken_and_its_length_counted(name, lasts_s):
    counted_s = check(Path(CASES / name), "face", Limits())
    assert counted_s == lasts_s if lasts_s is not None else counted_s > 0.5
