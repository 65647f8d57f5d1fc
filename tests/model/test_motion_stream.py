import numpy as np
import pytest
from test_motion import P, a_network, a_voice, shapes

from model import motion
from model.motion import Motion
from model.motion_stream import KEPT_S, MotionStream

MOTION = Motion(a_network(), shapes(), P)


def streamed(sound, piece, **options):
    stream = MotionStream(MOTION, **options)
    return np.concatenate([stream.push(sound[at : at + piece]) for at in range(0, len(sound), piece)])


def whole(sound, num_frames, fps=25.0):
    return MOTION.codes(sound, motion.frame_middles_s(num_frames, fps))


@pytest.mark.parametrize("fps", [25.0, 29.97])
def test_with_enough_look_ahead_the_stream_equals_the_offline_result(fps):
    sound = a_voice(3.0)
    codes = streamed(sound, 640, look_ahead_s=0.7, fps=fps)
    later = slice(int(1.5 * fps), len(codes))  # the level estimate has settled by then
    expected = whole(sound, len(codes), fps)[later]
    assert np.abs(codes[later] - expected).mean() < 0.05 * expected.std(axis=0).mean()


def test_audio_in_pieces_of_any_size_gives_each_frame_once():
    sound = a_voice(2.0)
    for piece in (160, 640, 1000, 5000, 32_000):
        assert len(streamed(sound, piece)) == int((2.0 - 0.2) * 25 + 0.5)


def test_a_frame_is_available_after_the_look_ahead():
    stream = MotionStream(MOTION, look_ahead_s=0.12)
    assert len(stream.push(a_voice(0.13))) == 0
    assert len(stream.push(a_voice(0.02))) == 1  # its middle is at 0.02 s


def test_old_audio_is_dropped():
    stream = MotionStream(MOTION)
    for _ in range(12):
        stream.push(a_voice(1.0))
    assert len(stream._sound) <= KEPT_S * 16_000
    assert len(stream.push(a_voice(1.0))) == 25


def test_the_mel_power_that_is_kept_is_that_of_the_whole_audio():
    sound, stream = a_voice(3.0), MotionStream(MOTION)
    for at in range(0, len(sound), 320):
        stream.push(sound[at : at + 320])
    assert np.allclose(stream._power(), motion.listen(sound, P), rtol=1e-4, atol=1e-7)
