"""Containers of studios, cameras and recorders are read; what is not read is not called damaged."""

import io
from pathlib import Path

import numpy as np
import pytest
from made_media import RATE_HZ, level_db, media, tone

from tasks.core.errors import UserError
from tasks.dubbing import hear
from tasks.dubbing.spans import Span
from tasks.media import containers, decode

CASES = Path(__file__).parents[2].parent / "shared/cases"
SECONDS = 2
BARS = (720, 576)  # the picture that DV and GXF demand


def made(kind, codec, rate=RATE_HZ, video=None, layout="mono", size=(64, 64)):
    samples = np.sin(2 * np.pi * 300 * np.arange(rate * SECONDS) / rate)[None].repeat(2 if layout == "stereo" else 1, 0)
    return media(kind, [(codec, layout, rate, 0.3 * samples)], video, size, 25 * SECONDS)


SOUNDS = {
    "ac3": ("ac3", "ac3", 48_000), "eac3": ("eac3", "eac3", 48_000), "w64": ("w64", "pcm_s16le"),
    "wv": ("wv", "wavpack"), "au": ("au", "pcm_s16be"), "caf": ("caf", "pcm_s16be"), "aiff": ("aiff", "pcm_s16be"),
    "amr": ("amr", "libopencore_amrnb", 8_000), "tta": ("tta", "tta"), "voc": ("voc", "pcm_s16le"),
    "opus": ("ogg", "libopus", 48_000),
}  # fmt: skip
VIDEOS = {
    "mxf": ("mxf", "pcm_s16le", 48_000, "mpeg2video"), "mts": ("mpegts", "ac3", 48_000, "libx264"),
    "dv": ("dv", "pcm_s16le", 48_000, "dvvideo", "stereo", BARS), "vob": ("vob", "mp2", 48_000, "mpeg2video"),
    "gxf": ("gxf", "pcm_s16le", 48_000, "mpeg2video", "mono", BARS), "3gp": ("3gp", "aac", RATE_HZ, "libx264"),
    "flv": ("flv", "aac", 44_100, "libx264"), "asf": ("asf", "libmp3lame", 44_100, "wmv2"),
}  # fmt: skip


@pytest.mark.parametrize("kind", [*SOUNDS, *VIDEOS])
def test_the_sound_of_an_odd_container_is_read(kind):
    content = made(*(SOUNDS | VIDEOS)[kind])
    heard = decode.decode_sound(io.BytesIO(content))
    assert abs(len(heard) / RATE_HZ - SECONDS) < 0.2
    assert abs(level_db(heard) - level_db(tone(len(heard), 0.3))) < 1.5


@pytest.mark.parametrize("kind", VIDEOS)
def test_the_pictures_of_an_odd_container_are_read(kind):
    assert len(list(decode.frames(io.BytesIO(made(*VIDEOS[kind]))))) == 25 * SECONDS
    assert f".{kind}" in decode.VIDEO_ENDINGS or kind == "gxf"


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_whole_sound_is_never_called_damaged(kind, tmp_path):
    """The length that a container without a header promises is a guess."""
    (tmp_path / f"a.{kind}").write_bytes(made(*SOUNDS[kind]))
    assert abs(hear.line(Span(0.0, str(tmp_path / f"a.{kind}"))).duration_s - SECONDS) < 0.2


def words(content):
    with pytest.raises(containers.MediaError) as caught:
        decode.probe(io.BytesIO(content))
    assert caught.value.reason == "unreadable"
    return caught.value.detail


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7\n" + bytes(5000), "a PDF"),
        (b"PK\3\4" + bytes(5000), "a zip archive or an office document"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>" * 20, "a web page or XML"),
        (b"#EXTM3U\n#EXTINF:9,\nhttp://localhost:9/a.ts\n", "a playlist"),
        (b'{"error": "no such file"}' * 9, "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"MThd\0\0\0\6" + bytes(900), "MIDI notes"),
    ],
)
def test_a_file_of_another_kind_is_named(content, kind):
    assert words(content).startswith(f"not a video, picture or sound: {kind}")


def test_only_what_is_damaged_is_called_damaged():
    whole = made("mp4", "aac", video="libx264")
    assert words(whole[: len(whole) // 2]).startswith("damaged: it begins like a video")  # its index is at the end
    assert words(bytes(9000)) == "not a video, picture or sound"
    subtitles = b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n" * 9
    assert words(subtitles) == "of a format that is not read here; convert it to mp4, png or wav"


def test_a_sound_that_is_cut_off_is_called_damaged(tmp_path):
    whole = made("caf", "flac")
    (tmp_path / "a.caf").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"damaged"):
        hear.line(Span(0.0, str(tmp_path / "a.caf")))


@pytest.mark.skipif(not CASES.is_dir(), reason="the files of ../shared/cases are not here")
def test_the_studio_file_and_the_second_default_track_of_the_cases_are_read(capsys):
    assert len(list(decode.frames(CASES / "video-studio.mxf"))) == 25
    hear.line(Span(0.0, str(CASES / "video-default-sound-is-second.mkv")))
    assert "of 2 sound tracks number 2 (eng), marked default, is used; left out: 1 (deu)" in capsys.readouterr().err
