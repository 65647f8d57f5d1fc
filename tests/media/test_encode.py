"""Encoded videos decode to their input, and the same input gives the same bytes."""

import io

import cv2
import numpy as np
import pytest
from decoded import first_frames

from model.timing import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from tasks.media import decode, encode

RNG = np.random.default_rng(0)
NOISE = (0.2 * RNG.standard_normal(2 * SAMPLE_RATE_HZ)).astype(np.float32)


def soft(height: int, width: int) -> np.ndarray:
    """A random picture, smooth enough for a codec."""
    return cv2.GaussianBlur(RNG.integers(0, 255, (height, width, 3), dtype=np.uint8), (0, 0), 4)


@pytest.mark.parametrize("height", [160, 720])
def test_colours_are_kept_with_the_matrix_of_small_and_of_large_pictures(height):
    colour = np.array([200, 40, 90], np.uint8)
    file = io.BytesIO()
    encode.encode_video(file, [np.broadcast_to(colour, (height, 64, 3))], None, crf=5)
    assert np.abs(first_frames(file, 1).reshape(-1, 3).mean(axis=0) - colour).max() < 2


def test_a_grey_ramp_is_not_darkened():
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8)[None, :, None], (64, 1, 3))
    file = io.BytesIO()
    encode.encode_video(file, [ramp], None, crf=5)
    assert abs((first_frames(file, 1)[0].astype(float) - ramp).mean()) < 0.3


def test_an_odd_size_is_padded_with_its_edge():
    picture = soft(33, 47)
    file = io.BytesIO()
    encode.encode_video(file, [picture] * 2, None, crf=5)
    got = first_frames(file, 2)[0].astype(int)
    assert got.shape == (34, 48, 3)
    assert np.abs(got[:33, :47] - picture).mean() < 3
    assert np.abs(got[33] - got[32]).mean() < 3


def test_the_same_input_gives_the_same_bytes(tmp_path):
    pictures = [soft(96, 96) for _ in range(40)]
    files = [io.BytesIO() for _ in range(5)]
    for file in files:
        encode.encode_video(file, iter(pictures), NOISE[: 40 * 640])
    assert len({file.getvalue() for file in files}) == 1
    for name in ("one.mp4", "two.mp4"):
        encode.encode_video(tmp_path / name, pictures, NOISE[: 40 * 640])
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_a_video_is_as_long_as_its_sound(tmp_path):
    encode.encode_video(tmp_path / "a.mp4", [soft(32, 128)] * 25, NOISE[: 25 * SAMPLES_PER_FRAME])
    probe = decode.probe(tmp_path / "a.mp4")
    assert (probe.width, probe.height, probe.fps, probe.num_frames, probe.has_sound) == (128, 32, 25, 25, True)
    sound = decode.decode_sound(tmp_path / "a.mp4")
    assert 0 <= len(sound) - 25 * SAMPLES_PER_FRAME < 1024  # AAC comes in blocks
    assert np.corrcoef(sound[: 25 * 640], NOISE[: 25 * 640])[0, 1] > 0.9


def test_sound_that_outlasts_the_pictures_is_written_to_its_last_sample():
    file = io.BytesIO()
    encode.encode_video(file, [soft(32, 32)] * 2, NOISE[:5000])
    assert len(decode.decode_sound(file)) >= 5000
    assert len(first_frames(file, 100)) == 2


def test_loud_sound_is_clipped():
    file = io.BytesIO()
    tone = 3 * np.sin(2 * np.pi * 200 * np.arange(16_000) / SAMPLE_RATE_HZ)
    encode.encode_video(file, [soft(32, 32)] * 25, tone)
    assert np.corrcoef(decode.decode_sound(file)[:16_000], np.clip(tone, -1, 1))[0, 1] > 0.99


def test_a_failure_while_encoding_leaves_no_file(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(ValueError, match=r"picture 1 is uint8 \(4, 4, 3\), must be uint8 \(32, 128, 3\)"):
        encode.encode_video(tmp_path / "a.mp4", [soft(32, 128), np.zeros((4, 4, 3), np.uint8)], None)
    with pytest.raises(ValueError, match="no picture"):
        encode.encode_video(tmp_path / "b.mp4", [], None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
