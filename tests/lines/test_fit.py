"""A line's speed: bounded, and only as far from 1 as its time demands."""

import numpy as np
import pytest

from tasks.core.errors import UserError
from tasks.lines import fit
from tasks.lines.fit import Bounds, Fit
from tasks.lines.subtitles import Cue
from tasks.media import tempo

BOUNDS = Bounds(0.8, 1.35)
RATE_HZ = 16_000


@pytest.mark.parametrize(
    ("spoken_s", "cue_s", "room_s", "wanted"),
    [
        (2.0, 2.0, 2.0, Fit(1.0, 0.0)),
        (1.8, 2.0, 5.0, Fit(0.9, 0.0)),
        (1.0, 2.0, 5.0, Fit(0.8, 0.0)),  # no slower than that
        (3.0, 2.0, 3.5, Fit(1.0, 0.0)),  # the silence after it is enough
        (3.0, 2.0, 2.5, Fit(1.2, 0.0)),
        (5.4, 2.0, 3.0, Fit(1.35, 1.0)),
    ],
)
def test_a_line_takes_the_silence_after_it_before_it_is_spoken_faster(spoken_s, cue_s, room_s, wanted):
    got = fit.fitted(spoken_s, cue_s, room_s, BOUNDS)
    assert got.speed == pytest.approx(wanted.speed) and got.too_long_s == pytest.approx(wanted.too_long_s)


def test_a_cue_may_last_to_the_next_one_that_does_not_begin_within_it():
    cues = [Cue(1, 0.0, 2.0, "A", "a"), Cue(2, 1.0, 3.0, "B", "b"), Cue(3, 4.0, 5.0, "A", "c")]
    assert fit.rooms_s(cues, 0, 6.0) == pytest.approx((2.0, 4.0 - fit.GAP_S))
    assert fit.rooms_s(cues, 1, 6.0) == pytest.approx((2.0, 3.0 - fit.GAP_S))
    assert fit.rooms_s(cues, 2, 6.0) == pytest.approx((1.0, 2.0))
    assert fit.rooms_s(cues, 2, 4.5) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("word", ["", "1", "1.2-1.4", "0.8-0.9", "0.1-2", "0.8-9", "a-b", "0.8-1.35-2"])
def test_bounds_that_are_none_are_refused(word):
    with pytest.raises(UserError, match="--speed"):
        fit.bounds(word)


@pytest.mark.parametrize("speed", [0.8, 1.0, 1.35])
def test_another_speed_keeps_the_pitch(speed):
    times_s = np.arange(2 * RATE_HZ) / RATE_HZ
    sound = (0.3 * np.sin(2 * np.pi * 220 * times_s)).astype(np.float32)
    made = tempo.changed(sound, RATE_HZ, speed)
    assert len(made) == round(len(sound) / speed)
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    assert np.argmax(spectrum) * RATE_HZ / len(made) == pytest.approx(220, abs=1.5)
    level = [np.sqrt(np.square(part).mean()) for part in np.array_split(made, 8)]
    assert min(level) > 0.15  # no hole at either end


def test_the_silence_around_a_voice_is_no_part_of_it():
    sound = np.zeros(RATE_HZ, np.float32)
    sound[4000:8000] = 0.1
    part = tempo.spoken_part(sound, RATE_HZ)
    assert 4000 <= len(part) <= 4000 + 4 * RATE_HZ * tempo.STEP_S + 2 * RATE_HZ * tempo.MARGIN_S
    assert len(tempo.spoken_part(np.zeros(100, np.float32), RATE_HZ)) == 100
