"""Time is computed in one place; these are its promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.timing import (
    COLUMN_S,
    COLUMNS_PER_FRAME,
    FPS,
    HOP,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    WINDOW,
    first_column,
    num_frames_of_sound,
    num_samples,
    source_frames,
    window_columns,
)

settings.register_profile("calm", deadline=None, derandomize=True)  # a busy machine is no failure
settings.load_profile("calm")

FRAMES = st.integers(0, 10**6)
RATES = st.one_of(st.sampled_from([10, 12.5, 24, 24_000 / 1001, 25, 30_000 / 1001, 30, 50, 60]), st.floats(5, 120))


def centre_s(first: int) -> float:
    return (first + (WINDOW - 1) / 2) * COLUMN_S


@given(FRAMES, RATES)
def test_the_window_of_a_frame_is_centred_within_half_a_column_of_its_middle(frame, fps):
    assert abs(centre_s(first_column(frame, fps)) - (frame + 0.5) / fps) <= COLUMN_S / 2 + 1e-6


@given(FRAMES, RATES)
def test_no_other_window_lies_nearer(frame, fps):
    first, middle_s = first_column(frame, fps), (frame + 0.5) / fps
    for other in (first - 1, first + 1):
        assert abs(centre_s(first) - middle_s) <= abs(centre_s(other) - middle_s) + 1e-6


@given(FRAMES)
def test_at_our_rate_the_window_is_centred_on_the_middle_exactly(frame):
    assert first_column(frame) == 4 * frame - 15


@given(FRAMES, RATES)
def test_windows_never_go_back_in_time(frame, fps):
    assert first_column(frame + 1, fps) >= first_column(frame, fps)


def test_the_units_of_time_fit_each_other():
    assert SAMPLES_PER_FRAME * FPS == SAMPLE_RATE_HZ
    assert COLUMNS_PER_FRAME * HOP == SAMPLES_PER_FRAME
    assert (SAMPLES_PER_FRAME, COLUMNS_PER_FRAME, WINDOW * HOP / SAMPLE_RATE_HZ) == (640, 4, 0.35)


@given(st.integers(1, 400))
def test_every_frame_of_a_clip_has_a_whole_window_inside_it(num_frames):
    columns = window_columns(np.arange(num_frames), 4 * num_frames)
    assert columns.shape == (num_frames, WINDOW)
    assert columns.min() == 0
    assert columns.max() == 4 * num_frames - 1
    assert (np.diff(columns, axis=1) >= 0).all()


def test_inside_a_clip_a_window_is_35_columns_in_a_row_and_edges_are_repeated():
    columns = window_columns(np.array([0, 10, 19]), 80)
    assert columns[1].tolist() == list(range(25, 60))
    assert columns[0].tolist() == [0] * 15 + list(range(20))
    assert columns[2].tolist() == [*range(61, 80), *[79] * 16]


def test_a_single_frame_has_the_window_it_has_among_many():
    assert np.array_equal(window_columns(np.array(7), 80), window_columns(np.array([7]), 80))


def test_without_sound_there_is_no_window():
    with pytest.raises(ValueError, match="num_columns must be at least 1"):
        window_columns(np.array([0]), 0)


@given(st.integers(0, 10**9))
def test_frames_cover_their_sound_and_no_frame_is_empty(samples):
    num_frames = num_frames_of_sound(samples)
    assert num_samples(num_frames) >= samples > num_samples(num_frames - 1) or samples == num_frames == 0


# ---- which decoded frame is shown


def shown(num_frames: int, fps: float) -> list[int]:
    return source_frames(np.arange(num_frames) / fps).tolist()


def test_our_own_rate_is_not_changed():
    assert shown(100, 25) == list(range(100))


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (50, [1, 3, 5, 7]),
        (12.5, [0, 0, 1, 1, 2, 2]),
        (30, [0, 1, 3, 4, 5, 6, 7, 9, 10, 11]),
        (24, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 13]),
    ],
)
def test_other_rates_show_what_is_on_screen_at_the_middle(fps, expected):
    assert shown(200, fps)[: len(expected)] == expected


def test_rounding_of_times_does_not_choose_the_neighbour():
    """At 50 frames/s each middle is the start of a frame; time stamps x time base are off in the last bit."""
    times_s = np.arange(20_000) * 1800 * (1 / 90_000)
    assert source_frames(times_s).tolist() == list(range(1, 20_000, 2))


@given(st.integers(2, 2000), RATES)
def test_a_constant_rate_keeps_its_duration_to_half_a_frame(num_frames, fps):
    assert abs(len(shown(num_frames, fps)) - max(1, num_frames / fps * FPS)) <= 0.5 + 1e-6


@given(st.lists(st.integers(1, 2000), max_size=40))
def test_each_shown_frame_is_the_last_that_had_started_at_the_middle(steps_ms):
    times_s = np.concatenate([[0], np.cumsum(steps_ms)]) / 1000
    for index, source in enumerate(source_frames(times_s)):
        middle_s = (index + 0.5) / FPS
        assert times_s[source] <= middle_s + 1e-6 or source == 0
        assert source == len(times_s) - 1 or times_s[source + 1] > middle_s


@pytest.mark.parametrize("fps", [24_000 / 1001, 24, 30_000 / 1001, 30, 60])
def test_time_stamps_rounded_to_a_millisecond_drift_nowhere(fps):
    """Matroska rounds so; after an hour the picture must still be the right one to one source frame."""
    exact = np.arange(int(3600 * fps)) / fps
    one, other = source_frames(exact), source_frames(np.round(exact, 3))
    num_both = min(len(one), len(other))
    assert abs(len(one) - len(other)) <= 1
    assert np.abs(one[:num_both] - other[:num_both]).max() <= 1


def test_no_frame_and_one_frame():
    assert source_frames(np.zeros(0)).tolist() == []
    assert source_frames(np.zeros(1)).tolist() == [0]


def test_frames_of_several_clips_have_the_windows_they_have_alone():
    frames, lengths = np.array([0, 9, 30, 3]), np.array([40, 40, 124, 12])
    alone = [window_columns(frames[k : k + 1], int(lengths[k]))[0] for k in range(4)]
    assert np.array_equal(window_columns(frames, lengths), alone)
    with pytest.raises(ValueError, match="no sound"):
        window_columns(frames, np.array([40, 0, 40, 40]))
