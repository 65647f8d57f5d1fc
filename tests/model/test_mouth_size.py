"""How far a person moves the mouth, from footage and what the motion network predicts for its sound."""

import numpy as np
import pytest

from model import mouth_size

SECONDS = 25  # frames


def said(num_frames, seed=0):
    """A predicted opening: syllables of uneven size."""
    rng = np.random.default_rng(seed)
    peaks = np.repeat(rng.uniform(0.02, 0.18, num_frames // 5 + 1), 5)[:num_frames]
    return peaks * np.abs(np.sin(np.arange(num_frames) * np.pi / 5))


def test_a_person_who_opens_the_mouth_twice_as_far_has_nearly_that_size_and_one_like_the_average_1():
    predicted_T = said(60 * SECONDS)
    assert 1.9 < mouth_size.size(2 * predicted_T, predicted_T) < 2
    assert mouth_size.size(predicted_T, predicted_T) == pytest.approx(1)


def test_little_speech_tells_less_and_too_little_nothing():
    sizes = [mouth_size.size(1.8 * said(num), said(num)) for num in (8, 25, 100, 1000)]
    assert sizes[0] == 1
    assert 1 < sizes[1] < sizes[2] < sizes[3] < 1.8


def test_silence_between_the_speech_changes_no_size():
    predicted_T, pause_T = said(200), np.zeros(2000)
    alone = mouth_size.size(1.5 * predicted_T, predicted_T)
    with_pause_T = np.concatenate([pause_T, predicted_T])
    assert mouth_size.size(1.5 * with_pause_T, with_pause_T) == pytest.approx(alone)


def test_a_mouth_under_another_voice_has_no_size():
    rng = np.random.default_rng(1)
    silent_T = 0.01 + 0.002 * rng.normal(size=500)
    assert mouth_size.size(silent_T, said(500)) == pytest.approx(1, abs=0.1)
    assert mouth_size.size(np.full(500, 0.01), said(500)) == 1
    assert mouth_size.size(said(500, 1), np.zeros(500)) == 1


def test_no_size_is_beyond_the_limits():
    predicted_T = said(2000)
    assert mouth_size.size(9 * predicted_T, predicted_T) == mouth_size.LARGEST
    assert mouth_size.size(0.1 * predicted_T, predicted_T) == mouth_size.SMALLEST
