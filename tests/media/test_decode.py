"""Decoding of media; every file is generated here, except the real clips at the end."""

import tracemalloc
import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from conftest import REAL
from decoded import first_frames

from model.timing import FPS, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, source_frames
from tasks.media import containers, decode, encode

RNG = np.random.default_rng(0)
NOISE = (0.2 * RNG.standard_normal(2 * SAMPLE_RATE_HZ)).astype(np.float32)


def numbered(index: int) -> np.ndarray:
    """A picture from which its number can be read after any codec: eight bars, black or white."""
    bits = (index >> np.arange(8)) & 1
    return np.repeat(np.repeat(bits.astype(np.uint8) * 255, 16)[None, :, None], 32, axis=0).repeat(3, axis=2)


def number(picture: np.ndarray) -> int:
    bits = picture.reshape(32, 8, 16, 3).mean(axis=(0, 2, 3)) > 127
    return int(bits @ (1 << np.arange(8)))


def write(
    path: Path,
    times: list[Fraction],
    *,
    fps: Fraction | int = 25,
    video: str = "libx264",
    audio: str = "aac",
    sound: np.ndarray | None = None,
    rate_hz: int = SAMPLE_RATE_HZ,
    sound_start_s: float = 0.0,
    pictures: list[np.ndarray] | None = None,
) -> Path:
    """A file with pictures at `times` (s) and sound (channels, samples): as other programs write it."""
    pictures = pictures or [numbered(index) for index in range(len(times))]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(video, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        stream.bit_rate = 2_000_000
        base = 1 / Fraction(fps) if video.startswith("mpeg") else Fraction(1, 90_000)
        stream.codec_context.time_base = base
        if sound is not None:
            layout = "mono" if len(sound) == 1 else "stereo"
            voice = out.add_stream(audio, rate=rate_hz, layout=layout)
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p", threads=1)
            frame.pts, frame.time_base = round(time / base), base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            frame.pts = round(sound_start_s * rate_hz)
            resampler = av.AudioResampler(voice.format, voice.layout, voice.rate, voice.frame_size or None)
            for block in [*resampler.resample(frame), *resampler.resample(None)]:
                if block:
                    out.mux(voice.encode(block))
            out.mux(voice.encode(None))
    return path


def steady(num_frames: int, fps: Fraction | int) -> list[Fraction]:
    return [Fraction(index) / Fraction(fps) for index in range(num_frames)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """One second in the format of our corpus, with the index in front."""
    path = tmp_path_factory.mktemp("plain") / "clip.mp4"
    encode.encode_video(path, [numbered(index) for index in range(25)], NOISE[: 25 * SAMPLES_PER_FRAME])
    return path


# ---- pictures


@pytest.mark.parametrize("fps", [12, 24, 25, Fraction(30_000, 1001), 30, 50, 60])
def test_each_frame_is_the_source_frame_of_the_timing_module(fps, tmp_path):
    times = steady(41, fps)
    path = write(tmp_path / "clip.mp4", times, fps=fps)
    got = [number(picture) for picture in decode.frames(path)]
    assert got == source_frames(np.array(times, float)).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_pictures_at_uneven_times_keep_their_times(seed, tmp_path):
    steps_ms = np.random.default_rng(seed).integers(3, 300, 30)
    times = [Fraction(int(ms), 1000) for ms in np.concatenate([[0], np.cumsum(steps_ms)])]
    path = write(tmp_path / "clip.mkv", times, fps=25)
    assert [number(picture) for picture in decode.frames(path)] == source_frames(np.array(times, float)).tolist()


@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [
        ("a.mpg", "mpeg1video", "mp2"),
        ("a.webm", "libvpx", "libopus"),
        ("a.mkv", "libx264", "flac"),
        ("a.mov", "mpeg4", "aac"),
        ("a.avi", "mpeg4", "mp2"),
    ],
)
def test_a_second_of_any_container_is_25_frames_and_a_second_of_sound(name, video, audio, tmp_path):
    sound = np.resize(NOISE, (2, 48_000))
    path = write(tmp_path / name, steady(25, 25), video=video, audio=audio, sound=sound, rate_hz=48_000)
    assert [number(picture) for picture in decode.frames(path)] == list(range(25))
    assert abs(len(decode.decode_sound(path)) - SAMPLE_RATE_HZ) < 2 * SAMPLES_PER_FRAME
    assert decode.probe(path).num_frames in (24, 25, 26, 0)


def test_a_broken_time_stamp_ends_the_video_without_repeating_pictures_for_hours(tmp_path):
    path = write(tmp_path / "a.mkv", [*steady(20, 25), Fraction(36_000)])
    with pytest.raises(containers.MediaError, match="truncated: 20 of"):
        for count, _ in enumerate(decode.frames(path)):
            assert count < 20


def test_a_repeated_picture_is_not_shared_with_the_caller(tmp_path):
    pictures = decode.frames(write(tmp_path / "slow.mp4", steady(3, 5), fps=5))
    first = next(pictures)
    first[:] = 77
    assert number(next(pictures)) == 0


def test_memory_holds_a_few_pictures_of_a_long_video(tmp_path):
    path, picture = tmp_path / "long.mp4", np.zeros((240, 320, 3), np.uint8)
    tracemalloc.start()
    encode.encode_video(path, (picture + np.uint8(k) for k in range(100)), None, preset="ultrafast")
    num_frames = sum(1 for _ in decode.frames(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_frames == 100
    assert peak < 20 * picture.nbytes


@pytest.mark.parametrize(("height", "matrix"), [(480, Colorspace.ITU601), (720, Colorspace.ITU709)])
def test_without_a_colour_matrix_a_picture_is_converted_as_players_do(height, matrix, tmp_path):
    colour = (200, 40, 90)
    picture = np.broadcast_to(np.array(colour, np.uint8), (height, 64, 3))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.height, stream.width, stream.pix_fmt = height, 64, "yuv420p"
        out.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=matrix, threads=1)))
        out.mux(stream.encode(None))
    assert decode.read_image(tmp_path / "a.mp4").mean(axis=(0, 1)) == pytest.approx(colour, abs=2)


def test_the_first_frames_are_read_without_the_rest(plain):
    assert [number(picture) for picture in first_frames(plain, 7)] == list(range(7))
    assert decode.probe(plain).num_frames == 25


@pytest.mark.parametrize(("ending", "most"), [(".png", 0), (".jpg", 12)])
def test_an_image_is_a_video_of_one_frame(ending, most, tmp_path):
    picture = cv2.GaussianBlur(RNG.integers(0, 255, (800, 90, 3), dtype=np.uint8), (0, 0), 4)
    path = tmp_path / f"face %02d{ending}"  # a name that FFmpeg's own image reader takes for a sequence
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    assert decode.is_image(path)
    assert np.abs(decode.read_image(path).astype(int) - picture).max() <= most
    assert len(list(decode.frames(path))) == 1


# ---- sound


def write_wav(path: Path, sound: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    """16 bit; sound is (samples,) or (channels, samples)."""
    sound = np.atleast_2d(sound)
    with wave.open(str(path), "wb") as file:
        file.setparams((len(sound), 2, rate_hz, 0, "NONE", ""))
        file.writeframes(np.round(sound.T * 32_767).astype("<i2").tobytes())
    return path


def test_sound_at_our_own_rate_is_decoded_sample_for_sample(tmp_path):
    sound = np.clip(NOISE, -1, 1)
    got = decode.decode_sound(write_wav(tmp_path / "a.wav", sound))
    assert np.array_equal(got, (np.round(sound * 32_767) / 32_768).astype(np.float32))


def test_eight_bit_sound_is_centred_at_zero(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 1, SAMPLE_RATE_HZ, 0, "NONE", ""))
        file.writeframes(bytes([128, 0, 255, 128]))
    assert decode.decode_sound(tmp_path / "a.wav").tolist() == [0, -1, 127 / 128, 0]


@pytest.mark.parametrize("right", [1.0, -1.0])
def test_channels_are_averaged_and_opposite_ones_turned(right, tmp_path):
    tone = 0.98 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    got = decode.decode_sound(write_wav(tmp_path / "a.wav", np.stack([tone, right * tone]), 48_000))
    assert np.abs(got).max() == pytest.approx(0.98, abs=0.02)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_resampling_does_not_shift_sound(rate_hz, tmp_path):
    click = np.zeros(rate_hz)
    click[rate_hz // 4 * 3] = 0.9
    got = decode.decode_sound(write_wav(tmp_path / "a.wav", click, rate_hz))
    assert abs(len(got) - SAMPLE_RATE_HZ) <= 1
    assert abs(int(np.abs(got).argmax()) - SAMPLE_RATE_HZ // 4 * 3) <= 2


def sound_file(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=SAMPLE_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(NOISE[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, 0, Fraction(1, SAMPLE_RATE_HZ)
        resampler = av.AudioResampler(stream.format, "mono", SAMPLE_RATE_HZ, stream.frame_size or None)
        for block in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(stream.encode(block))
    return path


@pytest.mark.parametrize(("ending", "codec"), [("flac", "flac"), ("mp3", "libmp3lame"), ("m4a", "aac")])
def test_sound_files_are_decoded_without_encoder_delay(ending, codec, tmp_path):
    path = sound_file(tmp_path / f"speech.{ending}", codec)
    got = decode.fit(decode.decode_sound(path), 50)
    lags = [np.corrcoef(np.roll(got, -lag)[2000:-2000], NOISE[2000:-2000])[0, 1] for lag in range(-200, 201)]
    assert abs(int(np.argmax(lags)) - 200) <= 1
    assert not decode.probe(path).has_video


def test_an_album_cover_is_not_a_video(tmp_path):
    path = sound_file(tmp_path / "song.mp3", "libmp3lame")
    cover = b"\0image/png\0\x03\0" + cv2.imencode(".png", numbered(3))[1].tobytes()
    frame = b"APIC" + len(cover).to_bytes(4, "big") + b"\0\0" + cover
    size = bytes((len(frame) >> shift) & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frame + path.read_bytes())
    assert not decode.probe(path).has_video
    assert len(decode.decode_sound(path)) >= len(NOISE)


@pytest.mark.parametrize("num_frames", [10, 25, 40])
def test_fit_gives_640_samples_a_frame(num_frames):
    got = decode.fit(NOISE[: 25 * 640], num_frames)
    assert len(got) == num_frames * 640
    assert np.array_equal(got[: 25 * 640], NOISE[: min(num_frames, 25) * 640])
    assert not got[25 * 640 :].any()


# ---- picture and sound together


def flash_and_click(flash: int, num_frames: int, rate_hz: int, sound_start_s: float):
    """Pictures with one white frame; stereo sound that clicks at the middle of that frame's time."""
    pictures = [np.full((32, 32, 3), 255 * (index == flash), np.uint8) for index in range(num_frames)]
    sound = np.zeros((2, int((num_frames / FPS - sound_start_s) * rate_hz)), np.float32)
    sound[:, round(((flash + 0.5) / FPS - sound_start_s) * rate_hz)] = 0.9
    return pictures, sound


@pytest.mark.parametrize(
    ("name", "video", "audio"),
    [("a.mp4", "libx264", "aac"), ("a.mkv", "libx264", "flac"), ("a.webm", "libvpx", "libopus")],
)
@pytest.mark.parametrize(("picture_start_s", "sound_start_s"), [(0.0, 0.0), (0.0, 0.3), (0.4, 0.0), (0.4, 0.2)])
def test_a_flash_and_a_click_stay_synchronous(name, video, audio, picture_start_s, sound_start_s, tmp_path):
    flash, num_frames = 30, 50
    pictures, sound = flash_and_click(flash, num_frames, 48_000, sound_start_s - picture_start_s)
    times = [Fraction(picture_start_s).limit_denominator(100) + time for time in steady(num_frames, FPS)]
    path = write(
        tmp_path / name,
        times,
        video=video,
        audio=audio,
        sound=sound,
        rate_hz=48_000,
        sound_start_s=sound_start_s,
        pictures=pictures,
    )
    for source in (path, tmp_path / "again.mp4"):
        got = first_frames(source, 1000)
        sound = decode.decode_sound(source)
        assert int(got.mean(axis=(1, 2, 3)).argmax()) == flash
        click_s = int(np.abs(sound).argmax()) / SAMPLE_RATE_HZ
        assert click_s == pytest.approx((flash + 0.5) / FPS, abs=0.003)
        encode.encode_video(tmp_path / "again.mp4", got, decode.fit(sound, len(got)))


@pytest.mark.parametrize("sound_frames", [10, 60])
def test_the_length_of_the_sound_does_not_change_the_pictures(sound_frames, tmp_path):
    sound = np.resize(NOISE, (1, sound_frames * SAMPLES_PER_FRAME))
    path = write(tmp_path / "a.mkv", steady(25, 25), audio="flac", sound=sound)
    assert len(list(decode.frames(path))) == 25
    assert len(decode.decode_sound(path)) == sound_frames * SAMPLES_PER_FRAME


def test_a_gap_in_the_sound_is_silence_of_its_length(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono")
        for start in (0, SAMPLE_RATE_HZ):
            block = np.full((1, 4096), 8192, np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, start, Fraction(1, SAMPLE_RATE_HZ)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    loud = np.abs(decode.decode_sound(path)) > 0.1
    assert np.flatnonzero(loud)[4096] == pytest.approx(SAMPLE_RATE_HZ, abs=20)
    assert not loud[4096 : SAMPLE_RATE_HZ - 20].any()


# ---- real clips


@pytest.mark.skipif(not REAL.is_dir(), reason=f"real clips are not at hand in {REAL.name}/ beside the repository")
@pytest.mark.parametrize("name", ["bbaf2n", "brbk7n", "lbax4n", "sbwe5n"])
def test_a_real_clip_has_75_frames_and_their_sound(name):
    path = REAL / f"grid_{name}.mpg"
    assert first_frames(path, 1000).shape == (75, 288, 360, 3)
    sound = decode.decode_sound(path)
    assert abs(len(sound) - 75 * SAMPLES_PER_FRAME) <= SAMPLES_PER_FRAME
    assert np.isfinite(sound).all()
    assert 0.01 < sound.std() < 0.5


@pytest.mark.parametrize("size", [(160, 160), (97, 131), (1280, 720)])
def test_a_slice_of_a_picture_equals_the_slice_of_the_whole(size, tmp_path):
    """Training converts slices and dubbing whole pictures: no value may differ."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    encode.encode_video(tmp_path / "a.mp4", [cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)] * 2, None)
    picture = next(decode.Pictures(tmp_path / "a.mp4"))
    whole = picture.rgb()
    assert whole.shape == picture.shape and np.ptp(whole) > 100
    for _ in range(100):
        top, left = (int(rng.integers(n - 1)) for n in picture.shape[:2])
        bottom, right = (int(rng.integers(low + 1, n + 1)) for low, n in zip((top, left), picture.shape, strict=False))
        assert (picture[top:bottom, left:right] == whole[top:bottom, left:right]).all()
