"""Composes a real person's mouths into the person's own video."""

import dataclasses
import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from conftest import REAL

from model import head_mesh
from model.head_track import Heads
from model.inside import InsideNet
from tasks.compositor import compose, footage, inside, library, target
from tasks.features import lip_refiner, mesh_model
from tasks.features.face_mesh import track
from tasks.features.face_track import detect
from tasks.media import decode, native_rate
from tasks.media.frame import Picture

CLIP = REAL / "grid_lbax4n.mpg"
NUM = 40
pytestmark = [
    pytest.mark.skipif(not CLIP.is_file(), reason="the real clips in ../shared/real are not here"),
    pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`"),
    pytest.mark.skipif(not lip_refiner.RELEASED.is_file(), reason="the lip refiner's weights are not here"),
]


@pytest.fixture(scope="module")
def frames():
    return np.stack(list(itertools.islice(decode.frames(CLIP), NUM)))


def recorded(frames, folder):
    boxes_T4 = np.full((len(frames), 4), np.nan)
    boxes_T4[0] = detect(frames[0], 640)[0]
    return footage.record(frames, boxes_T4, np.zeros(len(frames), int), folder)


@pytest.fixture(scope="module")
def person(frames, tmp_path_factory):
    return recorded(frames, tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="module")
def mouths(person):
    return library.build([person])


@pytest.fixture(scope="module")
def heads(person):
    return library.apart(person.heads(0, NUM)[1])


def composed(frames, mouths, heads, wanted_TS3, path, weight=1.0):
    return np.stack(
        [
            compose.compose(frames[t], mouths, heads, t, wanted_TS3[t], int(number), weight).frame_HW3
            for t, number in enumerate(path)
        ]
    )


def lower_face(mouths, heads, t, shape):
    """The area that may change: from the nose to slightly beyond the jaw."""
    inside = np.zeros(shape[:2], np.uint8)
    vertices = mouths.geometry.vertices(heads.mesh(t), heads.turn_T33[t])
    cv2.fillConvexPoly(inside, cv2.convexHull(vertices.astype(np.float32)).astype(int), 1)
    return cv2.dilate(inside, np.ones((7, 7))) > 0


def test_a_video_driven_by_its_own_mouths_is_reproduced(frames, mouths, heads, person):
    own = heads.canonical_TP3[:, library.MOUTH]
    path = compose.chosen(mouths, own, np.stack([library.angles_deg(heads)])[0], person.light_T)
    assert path.tolist() == list(range(NUM))
    error = composed(frames, mouths, heads, own, path).astype(float) - frames
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 50


def test_nothing_outside_the_lower_face_changes(frames, mouths, heads):
    path = np.arange(NUM)[::-1]  # mouths of other frames
    output = composed(frames, mouths, heads, heads.canonical_TP3[::-1][:, library.MOUTH], path)
    for t in range(0, NUM, 5):
        outside = ~lower_face(mouths, heads, t, frames.shape[1:])
        assert (output[t] == frames[t])[outside].all()
        assert (output[t] != frames[t]).any()
        assert outside[: int(heads.mesh(t)[[33, 263, 4], 1].max())].all()  # eyes and nose included


def test_grey_stays_grey(frames, tmp_path):
    grey = np.repeat(frames[:12, ..., 1:2], 3, axis=3)
    film = recorded(grey, tmp_path)
    mouths, heads = library.build([film]), library.apart(film.heads(0, 12)[1])
    output = composed(grey, mouths, heads, heads.canonical_TP3[::-1][:, library.MOUTH], np.arange(12)[::-1])
    assert (output == output[..., :1]).all()


def opening(frames):
    boxes = [detect(frames[0], 640)[0], *[None] * (len(frames) - 1)]
    return head_mesh.opening(track(frames, boxes, lip_refiner.released()).mesh_T4683)


def opened(heads):
    return head_mesh.mouth_opening(heads.canonical_TP3[:, library.MOUTH])


def test_the_measured_opening_follows_the_wanted_opening(frames, mouths, heads, person):
    """The video's mouths, shifted by 17 frames."""
    own = heads.canonical_TP3[:, library.MOUTH]
    wanted = np.roll(own, 17, axis=0)
    path = compose.chosen(mouths, wanted, library.angles_deg(heads), person.light_T)
    measured = opening(composed(frames, mouths, heads, wanted, path))
    expected = head_mesh.mouth_opening(wanted)
    assert np.corrcoef(measured, expected)[0, 1] > 0.9
    assert 0.8 < measured.std() / expected.std() < 1.2


def test_a_wanted_closed_mouth_stays_closed(frames, mouths, heads, person):
    closed = np.repeat(mouths.closed_S3[None], NUM, axis=0)
    path = compose.chosen(mouths, closed, library.angles_deg(heads), person.light_T)
    before, after = opening(frames), opening(composed(frames, mouths, heads, closed, path))
    assert before.max() > 0.08
    assert after.max() < 0.03 and after.std() < 0.005


def test_an_open_mouth_is_closed_by_the_jaw_with_the_chin_and_the_nose_stays(heads):
    wide_P3 = heads.canonical_TP3[int(opened(heads).argmax())]
    closed_P3, opening = library.closed_head(wide_P3[None]), float(opened(heads).max())
    assert head_mesh.mouth_opening(closed_P3[library.MOUTH][None])[0] == pytest.approx(0, abs=1e-6)
    raised = wide_P3[152, 1] - closed_P3[152, 1]  # the chin
    assert 0.8 < raised / (opening - library.PARTED) < 1.1
    assert (closed_P3[[1, 33, 263]] == wide_P3[[1, 33, 263]]).all()  # tip of the nose, and the eyes


def test_lips_that_rest_nearly_closed_are_closed_by_the_lips_alone(heads):
    mouth = heads.canonical_TP3[int(opened(heads).argmin()), library.MOUTH]
    assert (library.jaw_raised(mouth) == mouth).all()


def test_a_library_without_a_closed_mouth_closes_the_lips_and_opens_no_further_than_wanted(
    frames, mouths, heads, person
):
    """A laughing or singing library, and a picture with parted lips."""
    never_closed = replace(person, run_T=np.where(opened(heads) < 0.1, -1, person.run_T))
    laughing, own = library.build([never_closed]), heads.canonical_TP3[:, library.MOUTH]
    assert 0 < len(laughing) < 0.6 * NUM
    shift = own - mouths.closed_S3
    wanted = laughing.closed_S3 + shift
    wanted[::2] = laughing.closed_S3
    path = compose.chosen(laughing, wanted, library.angles_deg(heads), person.light_T)
    measured = opening(composed(frames, laughing, heads, wanted, path))
    assert measured[::2].max() < 0.035
    assert 0.7 < measured[1::2].max() / opened(heads)[1::2].max() < 1.2


def test_opened_closed_lips_are_dark_inside_and_open_lips_keep_their_teeth(frames, mouths, heads):
    opening = head_mesh.mouth_opening(heads.canonical_TP3[:, library.MOUTH])
    wide, closed = int(opening.argmax()), int(opening.argmin())
    wanted = [heads.canonical_TP3[wide, library.MOUTH]] * NUM
    lips = heads.mesh(wide)[[13, 14], :2].mean(axis=0).astype(int)
    output = [composed(frames, mouths, heads, wanted, [number] * (wide + 1))[wide] for number in (wide, closed)]
    levels = [float(one[lips[1], lips[0] - 3 : lips[0] + 4].mean()) for one in output]
    own = float(frames[wide][lips[1], lips[0] - 3 : lips[0] + 4].mean())
    assert levels[0] == pytest.approx(own, abs=6)
    assert levels[1] < 0.6 * float(frames[closed][lips[1], lips[0] - 3 : lips[0] + 4].mean())


def blue():
    """Paints a blue inside."""
    net = InsideNet(8).eval().requires_grad_(False)
    net.last.bias.copy_(torch.tensor([-1.0, -1.0, 1.0]))
    return net


def test_a_library_with_the_wanted_mouths_is_never_painted(frames, mouths, heads, person):
    own = heads.canonical_TP3[:, library.MOUTH]
    painting = dataclasses.replace(mouths, inside=blue())
    path = np.roll(np.arange(NUM), 1)  # the frame before shows nearly the same
    enough = own[path]
    assert (composed(frames, painting, heads, enough, path) == composed(frames, mouths, heads, enough, path)).all()


def test_no_mouth_is_chosen_that_has_to_be_painted_where_the_library_shows_the_wanted_one(mouths, heads, person):
    own = heads.canonical_TP3[:, library.MOUTH]
    fast = np.concatenate([own[::3], own[1::3], own[2::3]])  # speech that the footage cannot follow without jumps
    path = compose.chosen(mouths, fast, library.angles_deg(heads), person.light_T)
    lacking = inside.lack(head_mesh.mouth_opening(fast), mouths.opening_N[path])
    assert len(fast) == NUM and (lacking == 0).all()


def test_a_closed_mouth_that_is_opened_is_painted_between_its_lips_alone(frames, mouths, heads):
    opening = head_mesh.mouth_opening(heads.canonical_TP3[:, library.MOUTH])
    wide, closed = int(opening.argmax()), int(opening.argmin())
    wanted = [heads.canonical_TP3[wide, library.MOUTH]] * (wide + 1)
    painting = dataclasses.replace(mouths, inside=blue())
    painted, dark = (composed(frames, of, heads, wanted, [closed] * (wide + 1))[wide] for of in (painting, mouths))
    lips = heads.mesh(wide)[list(head_mesh.INNER), :2]
    reach = cv2.dilate(inside.filled(frames.shape[1:3], lips), np.ones((9, 9))) > 0
    assert (painted == dark)[~reach].mean() > 0.999  # the join's film reaches further by single levels
    assert np.abs(painted.astype(int) - dark)[~reach].max() <= 3
    middle = tuple(lips.mean(axis=0).astype(int)[::-1])
    assert painted[middle][2] > painted[middle][0] + 60


def test_a_grey_picture_is_painted_grey(frames, tmp_path):
    grey = np.repeat(frames[:12, ..., 1:2], 3, axis=3)
    film = recorded(grey, tmp_path)
    mouths, heads = library.build([film], blue()), library.apart(film.heads(0, 12)[1])
    wanted = heads.canonical_TP3[:, library.MOUTH].copy()
    wanted[:, head_mesh.LOWER_INNER, 1] += 0.15
    output = composed(grey, mouths, heads, wanted, np.arange(12))
    assert (output != grey).any() and (output == output[..., :1]).all()


def test_a_change_grows_steadily_with_its_weight(frames, mouths, heads):
    t = int(head_mesh.mouth_opening(heads.canonical_TP3[:, library.MOUTH]).argmax())
    wanted = [mouths.closed_S3] * (t + 1)
    steps = [
        composed(frames, mouths, heads, wanted, np.zeros(t + 1, int), weight)[t] for weight in (0.01, 0.25, 0.5, 1.0)
    ]
    away = [float(np.abs(one.astype(float) - frames[t]).mean()) for one in steps]
    assert away[0] < 0.1 * away[-1] and away == sorted(away)


def test_frames_composed_in_threads_are_those_composed_one_by_one(frames, mouths, heads, person):
    path, wanted_TS3 = np.arange(NUM)[::-1], heads.canonical_TP3[::-1, library.MOUTH]
    to = target.target(person, frames.shape[1:3])
    made = target.composed(to, mouths, list(frames), np.arange(NUM), wanted_TS3, path, np.ones(NUM))
    one_by_one = composed(frames, mouths, heads, wanted_TS3, path)
    for one, expected in zip(made, one_by_one, strict=True):
        assert np.array_equal(one.frame_HW3, expected)


def test_recording_the_same_frames_gives_the_same_meshes_and_pictures(frames, person, tmp_path):
    again = recorded(frames[:20], tmp_path)
    assert np.array_equal(again.mesh_T4683[:15], person.mesh_T4683[:15], equal_nan=True)
    assert (footage.read(tmp_path).picture(3)[0] == again.picture(3)[0]).all()


def test_pictures_of_a_video_are_recorded_like_arrays_and_converted_to_rgb_once(tmp_path, monkeypatch):
    pictures = [picture for picture, _ in itertools.islice(native_rate.pictures(CLIP), 12)]
    arrays = recorded([picture.rgb() for picture in pictures], tmp_path / "arrays")
    converted, part = [], Picture._part
    monkeypatch.setattr(Picture, "_part", lambda *args: converted.append(args[0]) or part(*args))
    film = recorded(pictures, tmp_path / "pictures")
    assert np.array_equal(film.mesh_T4683, arrays.mesh_T4683) and (film.run_T >= 0).all()
    assert all((film.picture(t)[0] == arrays.picture(t)[0]).all() for t in range(12))
    assert all(converted.count(picture) == 1 for picture in pictures[6:])


def test_heads_do_not_depend_on_the_range_of_frames_read(person):
    whole = person.heads(0, NUM)[1]
    frames, part = person.heads(13, 22)
    assert frames.tolist() == list(range(13, 22))
    assert all(np.allclose(one[13:22], other, atol=1e-9) for one, other in zip(whole, part, strict=True))


def test_a_head_turned_away_is_not_usable(heads):
    a = np.radians(50)
    turn = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    away = Heads(heads.canonical_TP3[:1], heads.turn_T33[:1] @ turn, heads.shift_T3[:1])
    assert library.usable(heads).all() and not library.usable(away).any()


def test_a_long_video_keeps_pictures_in_blocks(monkeypatch):
    monkeypatch.setattr(footage, "MOST_PICTURES", 1000)
    kept = footage.kept(np.zeros(10_000, int))
    assert 900 <= kept.sum() <= 1100
    assert (np.diff(np.flatnonzero(kept)) == 1).mean() > 0.9
    assert footage.kept(np.zeros(900, int)).all()


def test_a_run_ends_where_the_face_changes_or_is_lost():
    found, who = np.array([1, 1, 0, 1, 1, 1], bool), np.array([0, 0, 0, 0, 1, 1])
    assert footage.runs(found, who).tolist() == [1, 1, -1, 3, 4, 4]
