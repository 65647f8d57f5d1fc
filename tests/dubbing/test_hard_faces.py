"""Faces that are hard to dub, made from real ones: a right result, the original with a reason, or one line."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import REAL
from test_dub_mesh import NUM, about, clip_frames, frames_of, lossless, mesh, opening, project, pytestmark  # noqa: F401

from model import head_mesh
from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.features import face_mesh, lip_refiner
from tasks.features.face_track import detect
from tasks.media import decode, encode
from tasks.synthetic import clip, plan

NOSE, UNDER_EYES = 195, (234, 454)
JAW = (93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323)
SURGICAL, BLACK, RED_SCARF = (150, 190, 215), (30, 30, 32), (140, 30, 40)  # RGB


def meshes(frames):
    boxes = [detect(frames[0], 640)[0], *[None] * (len(frames) - 1)]
    return face_mesh.track(frames, boxes, lip_refiner.released()).mesh_T4683


def painted(frame, outline, colour, but=None):
    """The frame with cloth or hair inside an outline, which the light of the place falls on."""
    mask = np.zeros(frame.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.round(outline[:, :2] * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    if but is not None:
        cv2.fillPoly(mask, [np.round(but[:, :2] * 16).astype(np.int32)], 0.0, cv2.LINE_AA, 4)
    light = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 12)
    cloth = np.array(colour) * (light / light[mask > 0].mean())[..., None]
    return np.clip(frame + (cloth - frame) * mask[..., None], 0, 255).astype(np.uint8)


def masked(frame, points, colour):
    return painted(frame, points[[UNDER_EYES[0], *JAW, UNDER_EYES[1], NOSE]], colour)


def bearded(frame, points):
    grown = painted(frame, points[[*JAW[1:-1], 291, 164, 61]], (45, 32, 25), but=points[list(head_mesh.OUTER)])
    hairs = np.random.default_rng(0).normal(0, 12, frame.shape[:2])[..., None]
    return np.where(grown != frame, np.clip(grown + hairs, 0, 255).astype(np.uint8), frame)


def write(frames):
    height, width = np.array(frames[0].shape[:2]) // 2 * 2
    encode.encode_video(Path("face.mp4"), [frame[:height, :width] for frame in frames], None, crf=10)


@pytest.mark.parametrize("colour", [SURGICAL, BLACK, RED_SCARF], ids=["surgical", "black", "scarf"])
def test_a_mask_put_on_half_way_stays_as_filmed_and_lends_no_mouth(project, colour):  # noqa: F811
    frames, at = clip_frames(REAL / "grid_bbaf2n.mpg"), NUM // 2
    pairs = zip(frames[at:], meshes(frames)[at:], strict=True)
    write([*frames[:at], *(masked(frame, points, colour) for frame, points in pairs)])
    made, source = lossless(), frames_of("face.mp4")
    left = about("out/a.mkv")["passed_through"]
    assert {span["reason"] for span in left} <= {"occluded", "no_face", "no_mesh"}
    assert abs(min(span["first"] for span in left) - at) <= 2
    assert (made[at + 2 :] == source[at + 2 :]).all() and (made[: at - 6] != source[: at - 6]).any()
    assert about("out/a.mkv")["library_mouths"] <= at + 2


def test_a_person_in_a_mask_is_refused_in_one_line(project):  # noqa: F811
    frames = clip_frames(REAL / "grid_bbaf2n.mpg")
    write([masked(frame, points, SURGICAL) for frame, points in zip(frames, meshes(frames), strict=True)])
    with pytest.raises(UserError, match=r"^face.mp4: (no frame shows the speaker's mouth|no face found)"):
        lossless()


def rendered(case):
    """A hard case of the embedded corpus, as face.mp4."""
    [spec] = [one for one in plan.plan(0, "demo") if one.case == case]
    Path("face.mp4").write_bytes(clip.render(spec).mp4)


def test_a_microphone_before_the_mouth_from_beginning_to_end_is_one_line(project):  # noqa: F811
    rendered("occluded")
    with pytest.raises(UserError, match=r"^face.mp4: no frame shows the speaker's mouth"):
        lossless()


def test_a_head_that_turns_away_stays_as_rendered_meanwhile_and_lends_no_mouth(project):  # noqa: F811
    rendered("turning_away")
    made, source = lossless(), frames_of("face.mp4")
    sidecar = about("out/a.mkv")
    left = np.zeros(len(source), bool)
    for span in sidecar["passed_through"]:
        left[span["first"] : span["last"] + 1] = True
    assert {span["reason"] for span in sidecar["passed_through"]} <= {"profile", "no_face", "no_mesh", "occluded"}
    assert left[len(left) // 2] and not left[:10].any() and not left[-10:].any()  # there and back
    assert (made[left] == source[left]).all() and (made[~left] != source[~left]).any(axis=(1, 2, 3)).mean() > 0.9
    assert sidecar["library_mouths"] <= (~left).sum() + 12  # up to 40 degrees


@pytest.mark.parametrize("case", ["turned", "profile", "no_face"])
def test_a_head_turned_far_away_throughout_or_nobody_at_all_is_one_line(project, case):  # noqa: F811
    rendered(case)
    with pytest.raises(UserError, match=r"^face.mp4: (no frame shows the speaker's mouth|no face found)[^\n]*$"):
        lossless()


def test_a_bearded_mouth_is_dubbed(project):  # noqa: F811
    frames = clip_frames(REAL / "grid_bbaf2n.mpg")
    write([bearded(frame, points) for frame, points in zip(frames, meshes(frames), strict=True)])
    made = lossless()
    assert about("out/a.mkv")["changed"] == NUM and opening(made).std() > 0.006


def test_of_two_faces_that_touch_only_the_named_one_changes(project):  # noqa: F811
    pair = [list(itertools.islice(decode.frames(REAL / f"grid_{name}.mpg"), NUM)) for name in ("bbaf2n", "lbax4n")]
    sides = []
    for frames in pair:
        left, _, right, _ = detect(frames[0], 640)[0].astype(int)
        sides.append([frame[:, left - 4 : right + 4] for frame in frames])
    write([np.hstack(both) for both in zip(*sides, strict=True)])
    border = sides[0][0].shape[1]
    made, source = lossless(speaker=f"{border // 2},{sides[0][0].shape[0] * 0.6:.0f}@0.5"), frames_of("face.mp4")
    changed = (made != source).any(axis=(0, 1, 3))
    assert changed[:border].any() and not changed[border + 4 :].any()


def test_three_frames_of_footage_are_dubbed(project):  # noqa: F811
    write(clip_frames(REAL / "grid_bbaf2n.mpg")[:3])
    dub.run("face.mp4", "speech.mpg", "out/a.mp4", options=mesh(length="video"))
    sidecar = about("out/a.mp4")
    assert sidecar["frames"] == sidecar["changed"] == sidecar["library_mouths"] == 3


def test_faces_of_8_px_are_refused_in_one_line(project):  # noqa: F811
    write([cv2.resize(frame, None, fx=0.12, fy=0.12) for frame in clip_frames(REAL / "grid_bbaf2n.mpg")])
    with pytest.raises(UserError, match=r"^face.mp4: no face found in 36 frames"):
        lossless()
