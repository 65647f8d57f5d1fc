"""Videos of any container and rate, read at their own rate; damage gives a reason, never a crash or a hang."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from test_decode import NOISE, number, numbered, steady, write

from tasks.media import containers, decode, encode, native_rate, segments
from tasks.media.frame import Picture
from tasks.media.native_rate import SoundFormat


def pictures_of(path):
    return [(number(picture.rgb()), time_s) for picture, time_s in native_rate.pictures(path)]


@pytest.mark.parametrize("fps", [1, 12, Fraction(24000, 1001), 25, Fraction(30000, 1001), 50, 120])
@pytest.mark.parametrize(
    ("name", "video"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.mov", "mpeg4")]
)
def test_every_picture_comes_once_at_its_own_time(fps, name, video, tmp_path):
    path = write(tmp_path / name, steady(17, fps), fps=fps, video=video)
    got = pictures_of(path)
    assert [n for n, _ in got] == list(range(17))
    rounding_s = 1e-3 if name.endswith(("mkv", "webm")) else 1e-4
    assert np.abs(np.array([t for _, t in got]) - np.arange(17) / float(fps)).max() <= rounding_s


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mpg", "a.avi"])
def test_backwards_gives_the_same_pictures(name, tmp_path):
    video = {"a.mpg": "mpeg1video", "a.avi": "mpeg4"}.get(name, "libx264")
    path = write(tmp_path / name, steady(41, 25), video=video)
    there = list(native_rate.pictures(path))
    back = list(native_rate.backwards(path, np.array([time_s for _, time_s in there]), 7))
    assert len(back) == 41
    assert all((a.rgb() == b.rgb()).all() for a, (b, _) in zip(reversed(back), there, strict=True))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mpg", "a.avi"])
def test_going_on_from_anywhere_gives_the_same_pictures(name, tmp_path):
    video = {"a.mpg": "mpeg1video", "a.avi": "mpeg4"}.get(name, "libx264")
    path = write(tmp_path / name, steady(41, 25), video=video)
    there = list(native_rate.pictures(path))
    times_s = np.array([time_s for _, time_s in there])
    for first in (0, 1, 17, 40):
        onwards = list(native_rate.onwards(path, times_s, first))
        assert len(onwards) == 41 - first
        assert all((a.rgb() == b.rgb()).all() for a, (b, _) in zip(onwards, there[first:], strict=True))


def test_starting_later_gives_the_rest(tmp_path):
    path = write(tmp_path / "a.mp4", steady(20, 30), fps=30)
    assert [number(picture.rgb()) for picture, _ in native_rate.pictures(path, 13)] == list(range(13, 20))


@pytest.mark.parametrize("uneven", [False, True])
def test_joined_segments_are_one_video_with_the_same_times_and_pictures(uneven, tmp_path):
    ticks = np.arange(30) * 3003
    if uneven:
        ticks[11:] += 40_000
    coding = segments.Coding(lossless=True)
    pieces = []
    for start in range(0, 30, 8):
        pieces.append(tmp_path / f"{start}.mp4")
        part = ticks[start : start + 8]
        segments.write_segment(
            pieces[-1], [numbered(n) for n in range(start, start + len(part))], part - part[0], coding
        )
    out = tmp_path / "out.mkv"
    sound = [NOISE[None, :5000], NOISE[None, 5000:16000]]
    segments.join(out, pieces, ticks, int(ticks[-1]) + 3003, sound, 16000, "mono", {"comment": "made"}, True)
    got = pictures_of(out)
    assert [n for n, _ in got] == list(range(30))
    assert np.abs(np.array([t for _, t in got]) * 90_000 - ticks).max() <= 90  # mkv counts in ms
    assert np.abs(decode.decode_sound(out) - NOISE[:16000]).max() < 1e-4
    assert all((picture.rgb() == numbered(n)).all() for n, (picture, _) in enumerate(native_rate.pictures(out)))


@pytest.mark.parametrize(
    ("layout", "num_channels", "loud"), [("mono", 1, [0]), ("stereo", 2, [0, 1]), ("5.1", 6, [2]), ("quad", 4, [0, 1])]
)
def test_mono_goes_to_both_channels_of_stereo_or_to_the_centre(layout, num_channels, loud, tmp_path):
    path = write(tmp_path / "a.mkv", steady(25, 25), audio="flac", sound=NOISE[None, :16000])
    sound = np.concatenate(list(native_rate.channels(path, SoundFormat(16000, layout, 1.0))), axis=1)
    assert sound.shape[0] == num_channels
    assert [k for k in range(num_channels) if np.abs(sound[k]).max() > 0.1] == loud


@pytest.mark.parametrize("size_wh", [(128, 96), (1280, 720)])
def test_a_patch_changes_only_its_own_pixels(size_wh, tmp_path):
    width, height = size_wh
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
    picture_HW3 = cv2.resize(small, size_wh, interpolation=cv2.INTER_CUBIC)
    encode.encode_video(tmp_path / "a.mp4", [picture_HW3] * 2, None)
    picture, _ = next(native_rate.pictures(tmp_path / "a.mp4"))
    assert picture.is_coded()
    changed = np.zeros((24, 40), bool)
    changed[5:17, 7:30] = True
    patch = 255 - picture[32:56, 16:56]
    patched = picture.patched(16, 32, patch, changed)
    planes = [one.frame().to_ndarray() for one in (picture, patched)]
    luma = np.flatnonzero((planes[0][:height] != planes[1][:height]).any(axis=1))
    assert luma.min() >= 32 + 5 and luma.max() <= 32 + 16
    outside = np.ones(picture.shape[:2], bool)
    outside[32 + 4 - 2 : 32 + 18 + 2, 16 + 6 - 2 : 16 + 30 + 2] = False  # colour samples are between two pixels
    assert (patched.rgb()[outside] == picture.rgb()[outside]).all()
    inside = np.abs(patched.rgb()[32 + 7 : 32 + 15, 16 + 9 : 16 + 28].astype(int) - patch[7:15, 9:28])
    assert inside.mean() < 3


@pytest.mark.parametrize("size_wh", [(128, 96), (1280, 720)])
def test_a_picture_that_keeps_a_part_does_not_convert_it_again_and_gives_the_same_bytes(size_wh, tmp_path, monkeypatch):
    width, height = size_wh
    small = np.random.default_rng(0).integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
    encode.encode_video(tmp_path / "a.mp4", [cv2.resize(small, size_wh, interpolation=cv2.INTER_CUBIC)] * 2, None)
    picture, _ = next(native_rate.pictures(tmp_path / "a.mp4"))
    whole, converted, part = picture.rgb(), [], Picture._part
    monkeypatch.setattr(Picture, "_part", lambda *args: converted.append(args[1:]) or part(*args))
    picture.keep(slice(9, 60), slice(20, 99))
    for rows, columns in (((9, 60), (20, 99)), ((11, 50), (30, 64)), ((8, 60), (20, 99)), ((9, 60), (20, 99))):
        at = slice(*rows), slice(*columns)
        read = picture[at]
        assert (read == whole[at]).all()
        read[:] = 0  # a copy: the kept part stays as it is
    assert len(converted) == 2


def test_a_thumbnail_is_the_mean_of_its_pixels_from_black_to_white(tmp_path):
    picture_HW3 = np.zeros((180, 320, 3), np.uint8)
    picture_HW3[:, 160:] = 255
    picture_HW3[90:, :160] = 128
    encode.encode_video(tmp_path / "a.mp4", [picture_HW3] * 2, None)
    picture, _ = next(native_rate.pictures(tmp_path / "a.mp4"))
    thumb = picture.small(32, 18).astype(int)
    assert np.abs(thumb[:8, :15]).max() <= 3 and np.abs(thumb[:, 17:] - 255).max() <= 3
    assert np.abs(thumb[10:, :15] - 128).max() <= 3


@pytest.mark.parametrize("size_wh", [(128, 96), (1280, 720)])
def test_grey_is_read_as_grey(size_wh, tmp_path):
    ramp_HW = np.linspace(0, 255, size_wh[0]).astype(np.uint8)[None].repeat(size_wh[1], axis=0)
    encode.encode_video(tmp_path / "a.mp4", [cv2.merge([ramp_HW] * 3)] * 2, None)
    picture, _ = next(native_rate.pictures(tmp_path / "a.mp4"))
    shown_HW3 = picture.rgb()
    assert not np.ptp(shown_HW3, axis=2).any() and np.abs(shown_HW3[..., 0].astype(int) - ramp_HW).mean() < 1


def test_re_encoding_a_decoded_picture_keeps_its_colours(tmp_path):
    flat = [np.full((64, 128, 3), (200, 30, 90), np.uint8)] * 3
    encode.encode_video(tmp_path / "a.mp4", flat, None, crf=1)
    decoded = [picture for picture, _ in native_rate.pictures(tmp_path / "a.mp4")]
    segments.write_segment(tmp_path / "b.mp4", decoded, np.arange(3) * 3600, segments.Coding(crf=1))
    again = [picture for picture, _ in native_rate.pictures(tmp_path / "b.mp4")]
    assert all((a.frame().to_ndarray() == b.frame().to_ndarray()).all() for a, b in zip(decoded, again, strict=True))


def encoded(path, options=None, pix_fmt="yuv420p", codec="libx264", trc=None):
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 128, 64, pix_fmt
        if trc:
            stream.codec_context.color_trc = trc
        for n in range(10):
            picture = np.zeros((64, 128, 3), np.uint8)
            picture[::2, 8 * n : 8 * n + 30] = 255  # only every second row: one field
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)))
        out.mux(stream.encode(None))
    return path


def test_interlaced_pictures_are_deinterlaced(tmp_path):
    path = encoded(tmp_path / "a.mp4", {"x264-params": "tff=1"})
    got = [picture.rgb().astype(int) for picture, _ in native_rate.pictures(path)]
    assert len(got) == 10
    combs = [np.abs(np.diff(picture, axis=0)).mean() for picture in got[1:-1]]
    plain = [
        np.abs(np.diff(p.rgb().astype(int), axis=0)).mean()
        for p, _ in native_rate.pictures(encoded(tmp_path / "b.mp4"))
    ]
    assert np.mean(combs) < 0.8 * np.mean(plain)


def test_transparent_videos_are_read(tmp_path):
    path = encoded(tmp_path / "a.webm", pix_fmt="yuva420p", codec="libvpx-vp9")
    assert len([picture.rgb() for picture, _ in native_rate.pictures(path)]) == 10


def damaged(whole, seed):
    """Bytes overwritten, removed, repeated or cut off, chosen by the seed."""
    rng = np.random.default_rng(seed)
    data = bytearray(whole)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, len(data)))
        length = int(rng.integers(1, 200))
        match int(rng.integers(0, 4)):
            case 0:
                data[at : at + length] = rng.bytes(min(length, len(data) - at))
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case _:
                del data[max(64, at) :]
    return bytes(data)


@pytest.mark.parametrize(("name", "video"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mpg", "mpeg1video")])
def test_a_hundred_damaged_files_give_pictures_in_order_or_a_reason(name, video, tmp_path):
    audio = "mp2" if name.endswith("mpg") else "aac"
    whole = write(tmp_path / name, steady(12, 25), video=video, audio=audio, sound=NOISE[None, :8000]).read_bytes()
    outcomes = {"read": 0, "refused": 0}
    for seed in range(100):
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(damaged(whole, seed))
        try:
            times = [time_s for picture, time_s in native_rate.pictures(path) if picture.shape[2] == 3]
            assert times and times == sorted(set(times)) and len(times) < 200
            sum(block.shape[1] for block in native_rate.channels(path, SoundFormat(16000, "mono", 0.0)))
            outcomes["read"] += 1
        except containers.MediaError as error:
            assert error.detail and "\n" not in error.detail
            outcomes["refused"] += 1
        path.unlink()
    assert min(outcomes.values()) > 2, outcomes
