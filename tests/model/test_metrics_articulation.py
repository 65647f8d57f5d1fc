"""Known answers for how a mouth moves."""

import numpy as np
import pytest

from model import timing
from model.metrics import articulation

T = 100


def syllables() -> np.ndarray:
    """Opens to 0.3 and closes again every 20 frames, five times."""
    return 0.15 - 0.15 * np.cos(2 * np.pi * np.arange(T) / 20)


def opened(curve):
    return articulation.opened(curve, articulation.range_of(syllables()))


@pytest.mark.parametrize(("made", "expected"), [(1.0, 1.0), (0.3, 0.3), (0.0, 0.0), (2.0, 2.0), (50.0, 10.0)])
def test_speed_scales_with_the_amplitude(made, expected):
    assert articulation.velocity_ratio(made * syllables(), syllables()) == pytest.approx(expected)


def test_speed_sees_jitter_that_amplitude_hardly_does():
    jitter = syllables() + 0.02 * (-1) ** np.arange(T)
    assert np.std(jitter) / np.std(syllables()) == pytest.approx(1.02, abs=0.03)
    assert articulation.velocity_ratio(jitter, syllables()) > 1.3


def test_a_still_reference_gives_a_number():
    still = np.full(T, 0.2)
    assert articulation.velocity_ratio(still, still) == 1
    assert articulation.velocity_ratio(syllables(), still) == 10


def test_five_syllables_are_five_openings_and_five_closings():
    found = articulation.events(opened(syllables()))
    assert [opens for _, opens in found] == [True, False] * 5
    assert np.diff([frame for frame, _ in found[::2]]).tolist() == [20] * 4


def test_jitter_at_one_level_is_no_event():
    assert articulation.events(0.35 + 0.08 * (-1.0) ** np.arange(T)) == []


@pytest.mark.parametrize(("late", "expected"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_events_two_frames_off_are_hits_and_three_frames_off_are_none(late, expected):
    f1 = articulation.event_f1(opened(np.roll(syllables(), late)), opened(syllables()))
    assert f1 == pytest.approx(expected, abs=0.01)


def test_f1_counts_by_hand():
    """Two syllables of five are missing: 6 hits, 6 found, 10 wanted."""
    made = syllables()
    made[40:80] = 0
    assert articulation.event_f1(opened(made), opened(syllables())) == pytest.approx(2 * 6 / (6 + 10))


def test_a_mumble_and_a_frozen_mouth_have_no_events():
    assert articulation.event_f1(opened(0.3 * syllables()), opened(syllables())) == 0
    assert articulation.event_f1(opened(np.full(T, 0.1)), opened(syllables())) == 0
    assert articulation.event_f1(np.zeros(T), np.zeros(T)) == 1


def test_an_opening_does_not_match_a_closing():
    rising, falling = np.linspace(0, 1, 20), np.linspace(1, 0, 20)
    assert articulation.event_f1(rising, falling) == 0


def test_lips_that_close_at_one_of_two_sounds_have_a_half():
    curve = opened(syllables())  # closed at 0, 20, 40, ..., open at 10, 30, ...
    assert articulation.closure(curve, [(19, 22), (39, 42)]) == 1
    assert articulation.closure(curve, [(19, 22), (28, 32)]) == 0.5
    assert articulation.closure(curve, [(28, 32)]) == 0
    assert articulation.closure(curve, []) is None
    assert articulation.closure(curve, [(100, 100)]) is None  # beyond the end of the clip


@pytest.mark.parametrize(
    ("span_s", "frames"),
    [((0.0, 0.04), (0, 1)), ((0.04, 0.0801), (1, 3)), ((0.05, 0.06), (1, 2)), ((-1, 0.02), (0, 1)), ((9, 10), (5, 5))],
)
def test_a_span_of_time_is_the_frames_that_show_it(span_s, frames):
    assert timing.frames_of_span(*span_s, num_frames=5) == frames
