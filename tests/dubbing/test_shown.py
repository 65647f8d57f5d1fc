"""What a viewer shows is what is dubbed: from the file to the output."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from conftest import ROOT
from test_dub_matrix import face_frames, speech
from turned import film, photograph

from tasks.core import config, paths
from tasks.dubbing import dub
from tasks.dubbing.find_faces import find_faces
from tasks.dubbing.options import Options
from tasks.features.mesh_points import MeshPoints
from tasks.media import decode, hdr, native_rate
from tasks.media.upright import WORDS

CASES = ROOT.parent / "shared/cases"
NUM = 8


def dubbed(face, **options):
    """The frames of the output and its JSON."""
    dub.run(str(face), speech(NUM / 25), "out/a.mp4", options=Options(**options))
    frames = [picture.rgb() for picture, _ in native_rate.pictures(Path("out/a.mp4"))]
    return np.stack(frames), json.loads(Path("out/a.json").read_text())


def demand_changed_mouth_only(made_THW3, real_HW3, sidecar):
    """The upper third is the source's, and there is a change below it."""
    assert made_THW3.shape[1:] == real_HW3.shape and sidecar["changed"] == sidecar["frames"]
    third = len(real_HW3) // 3
    differs = np.abs(made_THW3[NUM // 2].astype(int) - real_HW3)
    assert differs[:third].mean() < 3 < np.percentile(differs[third:], 99)


@pytest.mark.parametrize("orientation", [2, 5])
def test_a_mirrored_photograph_is_dubbed_as_viewers_show_it(trained, orientation):
    face = face_frames()[0]
    Path("face.png").write_bytes(photograph(face, orientation))
    made, sidecar = dubbed("face.png")
    demand_changed_mouth_only(made, face, sidecar)
    assert sidecar["source"]["orientation"] == orientation and sidecar["source"]["shown"] == WORDS[orientation]


@pytest.mark.parametrize("orientation", [6, 7])
def test_a_turned_or_mirrored_video_is_dubbed_as_viewers_show_it(trained, orientation):
    faces = face_frames()[:NUM]
    path = film(Path("a.mov"), faces, orientation, codec="libx264", pixels="yuv420p", options={"crf": "5"})
    made, sidecar = dubbed(path, length="video")
    demand_changed_mouth_only(made, faces[NUM // 2], sidecar)
    assert sidecar["source"]["orientation"] == orientation
    assert decode.geometry(Path("out/a.mp4")).orientation == 1


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le"])
def test_the_output_has_the_shape_of_the_sources_pixels(trained, pixels):
    face = [np.pad(cv2.resize(one, (288, 288)), ((0, 0), (112, 112), (0, 0)), "edge") for one in face_frames()[:NUM]]
    stored = [cv2.resize(one, (360, 288), interpolation=cv2.INTER_AREA) for one in face]
    path = film(
        Path("a.mp4"), stored, aspect=Fraction(64, 45), codec="libx264", pixels=pixels, options={"crf": "5"}
    )  # fmt: skip
    made, sidecar = dubbed(path, length="video")
    geometry = decode.geometry(Path("out/a.mp4"))
    assert (geometry.stored_wh, geometry.aspect) == ((360, 288), Fraction(64, 45))
    demand_changed_mouth_only(made, face[NUM // 2], sidecar)
    left, top, right, bottom = sidecar["faces"][0]["box"]
    assert sidecar["source"]["pixel_aspect"] == "64:45" and abs((left + right) / 2 - 256) < 30 < bottom - top


@pytest.mark.parametrize("kind", ["picture", "video"])
def test_grey_stays_grey(trained, kind):
    grey = [cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in face_frames()[:NUM]]
    if kind == "picture":
        cv2.imwrite("grey.png", grey[0])
        made, sidecar = dubbed("grey.png")
    else:
        path = film(Path("a.mkv"), [np.repeat(one[..., None], 3, axis=2) for one in grey], codec="ffv1", pixels="gray")
        made, sidecar = dubbed(path, length="video")
    assert sidecar["changed"] > NUM / 2
    assert np.ptp(made, axis=3).max() <= 3


def test_a_large_photograph_is_made_smaller_and_this_is_said(trained, capsys):
    large = cv2.resize(face_frames()[0], (3600, 3600), interpolation=cv2.INTER_LINEAR)
    cv2.imwrite("large.jpg", large[..., ::-1])
    p = config.load(paths.PARAMS)
    seen = find_faces(Path("large.jpg"), p.faces, MeshPoints(), None, Path("."))
    assert len(seen.faces) == 1 and seen.size_hw == (3072, 3072)
    assert "large.jpg is 3600 x 3600; made smaller, to 3072 x 3072" in capsys.readouterr().err


# ---- the files of ../shared/cases


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not at hand")
@pytest.mark.parametrize(
    ("name", "shown_hw", "orientation"),
    [
        ("picture-exif-2-mirrored.jpg", (640, 640), 2),
        ("picture-exif-5-mirrored.jpg", (640, 640), 5),
        ("photo-heic-tile-grid.heic", (768, 1024), 1),
        ("picture-12-megapixels.jpg", (2660, 3546), 1),
        ("picture-animated.webp", (320, 320), 1),
        ("video-anamorphic-pal-16x9.mp4", (576, 1024), 1),
        ("video-recorder-without-duration.webm", None, 1),
    ],
)
def test_a_case_shows_one_upright_face(trained, name, shown_hw, orientation):
    shutil.copy(CASES / name, name)
    p = config.load(paths.PARAMS)
    seen = find_faces(Path(name), p.faces, MeshPoints(), None, Path("."))
    assert decode.geometry(Path(name)).orientation == orientation
    assert shown_hw in (None, seen.size_hw)
    [face] = seen.faces
    eyes, mouth = face.points_N682[:, 36:48].mean(axis=(0, 1)), face.points_N682[:, 48:].mean(axis=(0, 1))
    left, top, right, bottom = face.boxes_N4[0]
    assert left < mouth[0] < right and top < eyes[1] < mouth[1] - 0.2 * (bottom - top)
    if name == "video-anamorphic-pal-16x9.mp4":
        assert seen.how == "with a lower threshold"  # its face is flatter than any that dlib knows
        made, _ = dubbed(name, length="video")
        geometry = decode.geometry(Path("out/a.mp4"))
        assert (geometry.stored_wh, geometry.aspect) == ((720, 576), Fraction(64, 45)) and len(made) == 25


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not at hand")
def test_the_case_in_hlg_is_dubbed_in_standard_range(trained):
    made, _ = dubbed(CASES / "video-hlg-10bit.mov", length="video")
    with av.open("out/a.mp4") as video:
        frame = next(video.decode(video=0))
    assert len(made) == 25 and frame.color_trc not in hdr.TRANSFERS
