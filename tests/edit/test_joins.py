"""Pitch, length and joins of sounds whose answers are known."""

import numpy as np
import pytest

from tasks.edit import joins, psola, speech, tone
from tasks.edit.joins import Track, Window
from tasks.edit.speech import Speech

RATE_HZ = 44_100


def voice(hz, length_s=1.0, rate_hz=RATE_HZ):
    """A voice: pulses of a pitch through two resonances."""
    times_s = np.arange(round(length_s * rate_hz)) / rate_hz
    tones = [np.cos(2 * np.pi * hz * k * times_s) / (1 + ((hz * k - 500) / 300) ** 2) for k in range(1, 30)]
    return tone.of_sound((0.2 * np.sum(tones, axis=0))[None].astype(np.float32), rate_hz)


def noise(length_s=1.0, level=0.1, seed=0):
    sound = np.random.default_rng(seed).normal(0, level, (2, round(length_s * RATE_HZ)))
    return tone.of_sound(sound.astype(np.float32), RATE_HZ)


@pytest.mark.parametrize("hz", [80, 120, 210, 330])
def test_the_pitch_of_a_voice_is_found_and_noise_has_none(hz):
    pitch_C = voice(hz).pitch_C[5:-5]
    assert np.abs(pitch_C / hz - 1).max() < 0.01
    assert (noise().pitch_C > 0).mean() < 0.05


@pytest.mark.parametrize(("pitch", "stretch"), [(1.15, 1.0), (0.87, 1.0), (1.0, 1.2), (1.1, 0.9)])
def test_pitch_and_length_are_changed_as_asked_and_the_level_stays(pitch, stretch):
    source = voice(120)
    num_out = round(0.5 * RATE_HZ * stretch)
    out_CN = psola.changed(source, RATE_HZ // 4, 3 * RATE_HZ // 4, num_out, pitch)
    assert out_CN.shape == (1, num_out)
    changed = tone.of_sound(out_CN, RATE_HZ)
    assert np.median(changed.pitch_C[5:-5]) == pytest.approx(120 * pitch, rel=0.01)
    assert changed.level_db(0.1, 0.4) == pytest.approx(source.level_db(0.4, 0.6), abs=1.5)


def test_nothing_to_change_gives_the_samples_themselves():
    source = noise()
    assert np.array_equal(psola.changed(source, 100, 900, 800, 1.0), source.sound_CN[:, 100:900])


def test_any_length_and_pitch_gives_as_many_samples_as_wanted():
    source = voice(120)
    for num_out in range(2_000, 2_400, 3):
        for pitch in (0.588, 0.7, 1.0, 1.6):
            assert psola.changed(source, 4_000, 6_200, num_out, pitch).shape[1] == num_out


def test_a_join_lies_where_both_sounds_are_quiet_and_a_step_apart():
    sound_CN = noise(2.0).sound_CN.copy()
    quiet = [(round((at - 0.015) * RATE_HZ), round((at + 0.015) * RATE_HZ)) for at in (0.51, 1.23)]
    for first, last in quiet:
        sound_CN[:, first:last] *= 0.01
    source = tone.of_sound(sound_CN, RATE_HZ)
    x_s, y_s = joins.place(source, Window(0.45, 0.48, 0.55), source, Window(1.2, 1.26, 1.3))
    assert x_s == pytest.approx(0.51, abs=0.012) and y_s == pytest.approx(1.23, abs=0.012)
    x_s, y_s = joins.place(source, Window(0.45, 0.48, 0.55), source, Window(1.2, 1.26, 1.3), 0.04)
    assert (y_s - x_s) / 0.04 == pytest.approx(18) and x_s == pytest.approx(0.51, abs=0.012)


def test_what_lies_between_two_places_a_step_apart_is_never_negative():
    source = noise(2.0)
    x_s, y_s = joins.place(source, Window(0.9, 1.0, 1.08), source, Window(0.95, 1.03, 1.05), 0.04)
    assert (y_s - x_s) / 0.04 == pytest.approx(round((y_s - x_s) / 0.04)) and y_s - x_s > 0.039
    x_s, y_s = joins.place(source, Window(1.0, 1.0, 1.0), source, Window(1.01, 1.01, 1.02), 0.04)
    assert y_s - x_s == pytest.approx(0.04)


def test_a_join_moves_so_that_the_waves_fit_and_not_for_noise():
    source = voice(130)
    moved = joins.shift(source.sound_CN, 10_000, source.sound_CN, 20_050, RATE_HZ)
    period = RATE_HZ / 130
    off = (10_050 + moved) / period
    assert abs(off - round(off)) < 0.02
    assert joins.shift(noise(seed=1).sound_CN, 10_000, noise(seed=2).sound_CN, 20_000, RATE_HZ) == 0


@pytest.mark.parametrize("alike", [True, False])
def test_the_power_stays_through_a_crossfade(alike):
    left = noise(seed=1).sound_CN
    right = left if alike else noise(seed=2).sound_CN
    mixed = joins.crossfade(left, right)
    for part in np.array_split(mixed, 4, axis=1):
        assert part.std() == pytest.approx(0.1, rel=0.05)
    if alike:
        assert np.allclose(mixed, left, atol=1e-6)


def test_a_track_is_its_stretches_but_for_the_crossfades():
    one, other = noise(seed=1).sound_CN, noise(seed=2).sound_CN
    track, half = Track(2, RATE_HZ), round(joins.FADE_S / 2 * RATE_HZ)
    track.append(one, 1000, 9000)
    track.append(other, 20_000, 28_000)
    track.append(one, 9000, 9000 + 8000)
    sound_CN = track.sound_CN
    assert sound_CN.shape == (2, 24_000) and track.joins_s == [8000 / RATE_HZ, 16_000 / RATE_HZ]
    assert np.array_equal(sound_CN[:, : 8000 - half], one[:, 1000 : 9000 - half])
    assert np.array_equal(sound_CN[:, 8000 + half : 16_000 - half], other[:, 20_000 + half : 28_000 - half])
    assert np.array_equal(sound_CN[:, 16_000 + half :], one[:, 9000 + half : 17_000])


def test_room_tone_has_the_spectrum_of_the_quiet_and_no_beat():
    sound_CN = noise(2.0, 0.01).sound_CN.copy()
    sound_CN[:, RATE_HZ // 2 : RATE_HZ] *= 50
    made = tone.room_tone(tone.of_sound(sound_CN, RATE_HZ), RATE_HZ)
    assert made.shape == (2, RATE_HZ)
    blocks = made.reshape(2, 20, -1).std(axis=2)
    assert blocks.mean() == pytest.approx(0.01, rel=0.15) and blocks.max() / blocks.min() < 1.5


def test_an_equaliser_gives_a_voice_the_spectrum_of_another():
    dull = np.cumsum(noise(seed=3).sound_CN, axis=1)
    dull = (dull - dull.mean(axis=1, keepdims=True)) * np.float32(0.02)
    source = noise(seed=4)
    before = tone.of_sound(dull, RATE_HZ)
    after = tone.filtered(before, tone.equaliser(before, source))

    def tilt_db(sound: Speech):
        bands_db = tone._bands_db(sound)
        hz = np.fft.rfftfreq(tone.WINDOW, 1 / RATE_HZ)
        return bands_db[np.abs(hz - 500).argmin()] - bands_db[np.abs(hz - 2000).argmin()]

    assert tilt_db(before) > 10 and abs(tilt_db(after)) < 4


def test_a_level_is_that_of_the_sound():
    sine = 0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    assert tone.of_sound(sine[None].astype(np.float32), RATE_HZ).level_db(0.1, 0.9) == pytest.approx(-23, abs=0.3)
    assert speech.FLOOR_DB == tone.of_sound(np.zeros((1, RATE_HZ), np.float32), RATE_HZ).level_db(0, 1)
