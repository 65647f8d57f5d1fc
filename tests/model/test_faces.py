"""Known answers and properties of boxes, tracks and the mouth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import faces

settings.register_profile("calm", deadline=None, derandomize=True)  # a busy machine is no failure
settings.load_profile("calm")

SIDE = st.integers(0, 200)


def box(left: float, top: float, width: float, height: float | None = None) -> np.ndarray:
    return np.array([left, top, left + width, top + (width if height is None else height)], float)


def face(gap_px: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """68 points with the eyes 40 px apart and inner lips `gap_px` apart.  Shape: -> (1, 68, 2)"""
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = (28, 40), (68, 40)
    points[48:60] = [48, 80]
    points[48], points[54] = (34, 80), (62, 80)
    points[60:68] = [48, 80]
    points[[61, 62, 63], 1] -= gap_px / 2
    points[[67, 66, 65], 1] += gap_px / 2
    return (points * scale + np.array(shift))[None]


# ---- boxes


def test_iou_has_its_textbook_values():
    others = np.stack([box(0, 0, 10), box(5, 0, 10), box(10, 0, 10), box(0, 0, 5), box(50, 50, 5), box(0, 0, 0)])
    assert faces.iou(box(0, 0, 10), others) == pytest.approx([1, 1 / 3, 0, 1 / 4, 0, 0])


@given(SIDE, SIDE, st.integers(1, 100), st.integers(1, 100), SIDE, SIDE, st.integers(1, 100), st.integers(1, 100))
def test_iou_is_symmetric_and_a_share(left, top, width, height, left2, top2, width2, height2):
    one, other = box(left, top, width, height), box(left2, top2, width2, height2)
    forth, back = faces.iou(one, other[None])[0], faces.iou(other, one[None])[0]
    assert forth == pytest.approx(back)
    assert 0 <= forth <= 1


def test_without_a_last_box_the_choice_decides():
    large, central = box(0, 0, 60), box(70, 70, 20)
    both = np.stack([central, large])
    assert np.array_equal(faces.choose(both, None, "largest", (160, 160)), large)
    assert np.array_equal(faces.choose(both, None, "central", (160, 160)), central)


def test_central_is_measured_from_the_middle_of_a_wide_frame():
    """Height comes first in frame_hw: with the two swapped the other box would win."""
    left, right = box(40, 40, 20), box(140, 40, 20)
    assert np.array_equal(faces.choose(np.stack([left, right]), None, "central", (100, 300)), right)


def test_a_larger_second_face_does_not_take_over_the_track():
    speaker, listener = box(10, 10, 40), box(90, 10, 60)
    last = box(13, 12, 40)
    for order in ([speaker, listener], [listener, speaker]):
        assert np.array_equal(faces.choose(np.stack(order), last, "largest", (160, 160)), speaker)


def test_a_face_that_overlaps_too_little_is_chosen_anew():
    far, large = box(38, 0, 40), box(90, 10, 60)
    assert faces.iou(box(0, 0, 40), far[None])[0] < faces.FOLLOW_IOU
    assert np.array_equal(faces.choose(np.stack([far, large]), box(0, 0, 40), "largest", (160, 160)), large)


def test_a_step_of_the_detectors_size_does_not_lose_the_face():
    """dlib's boxes come in sizes 6/5 apart: one step and a jitter of 5 px must stay the same person."""
    assert faces.iou(box(40, 40, 76), box(35, 35, 91)[None])[0] > 2 * faces.FOLLOW_IOU


# ---- tracks


def track(num_frames: int, step: float = 0.0) -> np.ndarray:
    return np.stack([box(10 + step * t, 20, 50) for t in range(num_frames)])


@pytest.mark.parametrize("smooth_frames", [1, 7, 99])
def test_a_still_face_stays_where_it_is(smooth_frames):
    boxes = track(20)
    assert faces.smooth_track(boxes, np.ones(20, bool), smooth_frames) == pytest.approx(boxes)


def test_smoothing_does_not_lag_behind_a_moving_face():
    boxes = track(30, step=2.0)
    got = faces.smooth_track(boxes, np.ones(30, bool), 7)
    assert got[3:-3] == pytest.approx(boxes[3:-3])


def test_smoothing_takes_jitter_away():
    boxes = track(200) + np.random.default_rng(0).normal(0, 3, (200, 4))
    got = faces.smooth_track(boxes, np.ones(200, bool), 9)
    assert np.diff(got, axis=0).std() < np.diff(boxes, axis=0).std() / 5


def test_a_gap_is_bridged_in_a_line_and_the_ends_are_held():
    found = np.array([False, False, True, False, False, False, True, False])
    boxes = np.full((8, 4), np.nan)
    boxes[2], boxes[6] = box(0, 0, 40), box(8, 0, 40)
    got = faces.smooth_track(boxes, found, 1)
    assert got[:, 0] == pytest.approx([0, 0, 0, 2, 4, 6, 8, 8])


@given(st.lists(st.booleans(), min_size=1, max_size=40).filter(any), st.sampled_from([1, 3, 7, 15]))
def test_every_frame_gets_a_box_within_those_found(found, smooth_frames):
    found_T = np.array(found)
    boxes = np.where(found_T[:, None], track(len(found), step=1.5), np.nan)
    got = faces.smooth_track(boxes, found_T, smooth_frames)
    assert got.shape == boxes.shape
    assert (got >= np.nanmin(boxes, axis=0) - 1e-9).all()
    assert (got <= np.nanmax(boxes, axis=0) + 1e-9).all()


def test_a_track_without_a_face_or_with_an_even_window_is_an_error():
    with pytest.raises(ValueError, match="no frame of the track has a box"):
        faces.smooth_track(track(3), np.zeros(3, bool), 7)
    with pytest.raises(ValueError, match="smooth_frames must be odd, got 4"):
        faces.smooth_track(track(3), np.ones(3, bool), 4)


def test_the_crop_grows_to_the_sides_and_below_and_never_above():
    got = faces.crop_boxes(np.stack([box(100, 50, 100)]))
    assert got[0] == pytest.approx([93, 50, 207, 164])


def test_the_crop_is_a_square_of_a_square_box():
    left, top, right, bottom = faces.crop_boxes(np.stack([box(3, 9, 64)]))[0]
    assert right - left == pytest.approx(bottom - top)


@given(st.floats(0.1, 10), st.floats(-300, 300))
def test_the_crop_scales_and_moves_with_its_box(scale, shift):
    boxes = track(3)
    assert faces.crop_boxes(boxes * scale + shift) == pytest.approx(faces.crop_boxes(boxes) * scale + shift)


# ---- mouth


@pytest.mark.parametrize("gap_px", [0, 1, 10, 25])
def test_aperture_is_the_lip_gap_over_the_distance_of_the_eyes(gap_px):
    assert faces.aperture(face(gap_px)) == pytest.approx([gap_px / 40])


@given(st.floats(0.2, 20), st.floats(-500, 500), st.floats(-500, 500))
def test_aperture_does_not_depend_on_size_and_place(scale, right, down):
    assert faces.aperture(face(10, scale, (right, down))) == pytest.approx([0.25])


def test_aperture_is_the_mean_of_three_gaps():
    points = face(0)
    points[0, [67, 66, 65], 1] += [4, 8, 12]
    assert faces.aperture(points) == pytest.approx([8 / 40])


def test_aperture_of_points_fallen_together_is_finite():
    assert np.isfinite(faces.aperture(np.zeros((2, 68, 2)))).all()


def test_the_mouth_box_holds_all_lips_and_a_margin():
    left, top, right, bottom = faces.mouth_boxes(face(12), 96, margin=0.05)[0]
    assert (left, top, right, bottom) == (29, 69, 67, 91)


@given(st.floats(0.1, 3), st.floats(-200, 200), st.floats(-200, 200), st.sampled_from([96, 192]))
def test_a_mouth_box_has_pixels_inside_the_crop_wherever_the_lips_are(scale, right, down, size):
    boxes = faces.mouth_boxes(face(10, scale, (right, down)), size)
    assert boxes.dtype == np.int16
    (left, top, right, bottom) = boxes[0]
    assert 0 <= left < right <= size
    assert 0 <= top < bottom <= size


def test_closed_are_the_found_frames_that_are_the_most_closed():
    points = np.concatenate([face(gap) for gap in [12.0, 10.0, 0.0, 8.0, 6.0, 0.0, 9.0, 11.0, 7.0, 5.0]])
    found = np.ones(10, bool)
    assert np.flatnonzero(faces.closed(points, found)).tolist() == [2, 5]
    found[5] = False
    assert np.flatnonzero(faces.closed(points, found)).tolist() == [2]
    assert not faces.closed(points, np.zeros(10, bool)).any()


def test_a_mouth_that_stays_open_is_never_closed():
    points = np.concatenate([face(gap) for gap in np.linspace(6.0, 14.0, 20)])
    assert not faces.closed(points, np.ones(20, bool)).any()


def test_a_mouth_that_stays_closed_is_closed():
    points = np.concatenate([face(gap) for gap in np.linspace(0.0, 0.5, 20)])
    assert faces.closed(points, np.ones(20, bool)).sum() == 2
