"""The network hears the speech, at its level, in whatever channel it is; the sound that goes out keeps its channels."""

import io

import av
import numpy as np
import pytest
from made_media import RATE_HZ, level_db, media, tone, voice

from tasks.media import containers, decode, native_rate, segments, stream_writer

VOICE = voice()
NONE = np.zeros_like(VOICE)
HISS = np.random.default_rng(0).normal(0, 0.003, len(VOICE)).astype(np.float32)
TONE = tone(len(VOICE))
LAYOUTS = {  # name -> (FFmpeg's layout, the channels)
    "mono": ("mono", [VOICE]),
    "stereo": ("stereo", [VOICE, VOICE]),
    "phase-inverted stereo": ("stereo", [VOICE, -VOICE]),
    "phase-inverted, with hiss": ("stereo", [VOICE + HISS, -VOICE]),
    "left ear": ("stereo", [VOICE, NONE]),
    "right ear, hiss in the left": ("stereo", [HISS, VOICE]),
    "right ear, a tone in the left": ("stereo", [TONE, VOICE]),
    "3.0, right": ("3.0", [NONE, VOICE, NONE]),
    "quad, back left": ("quad", [NONE, NONE, VOICE, NONE]),
    "5.1, centre, tones around": ("5.1", [TONE, TONE, VOICE, NONE, HISS, HISS]),
    "5.1, front left": ("5.1", [VOICE, NONE, NONE, NONE, HISS, HISS]),
    "5.1, centre, thunder in the bass": ("5.1", [NONE, NONE, 0.3 * VOICE, VOICE, NONE, NONE]),
    "7.1, side right": ("7.1", [NONE] * 7 + [VOICE]),
    "7.1, side right, a tone in front": ("7.1", [TONE] + [NONE] * 6 + [VOICE]),
}


def file(name, kind="wav", codec="pcm_s16le"):
    layout, channels = LAYOUTS[name]
    return io.BytesIO(media(kind, [(codec, layout, RATE_HZ, np.stack(channels))]))


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_ear_takes_the_speech_at_its_level(name):
    heard = decode.decode_sound(file(name))[: len(VOICE)]
    wanted = 0.3 * VOICE if "thunder" in name else VOICE
    assert abs(level_db(heard) - level_db(wanted)) < 0.5
    assert abs(np.corrcoef(heard, wanted)[0, 1]) > 0.99


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_sound_that_goes_out_is_as_given(name, tmp_path):
    layout, channels = LAYOUTS[name]
    (tmp_path / "a.wav").write_bytes(file(name).getvalue())
    like = native_rate.sound_format(tmp_path / "a.wav")
    out = np.concatenate(list(native_rate.channels(tmp_path / "a.wav", like)), axis=1)
    assert like.layout == layout
    assert np.abs(out[:, : len(VOICE)] - np.stack(channels)).max() < 1e-3


def test_two_channels_that_both_speak_are_averaged_as_ever():
    left, right = VOICE, 0.5 * VOICE + HISS
    sound = io.BytesIO(media("wav", [("pcm_f32le", "stereo", RATE_HZ, np.stack([left, right]))]))
    assert np.array_equal(decode.decode_sound(sound), np.stack([left, right]).mean(axis=0, dtype=np.float32))


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "aac"), ("matroska", "flac")])
def test_eight_planes_are_read_and_written(kind, codec, tmp_path):
    """PyAV reads and writes beyond its list of planes from 8 channels on."""
    pieces = tmp_path / "piece.mp4"
    segments.write_segment(pieces, [np.zeros((32, 32, 3), np.uint8)] * 50, np.arange(50) * 3600, segments.Coding())
    sound = np.stack([tone(len(VOICE), 0.02 * k) for k in range(8)])
    out = tmp_path / f"a.{'mkv' if codec == 'flac' else 'mp4'}"
    segments.join(
        out, [pieces], np.arange(50) * 3600, 50 * 3600, iter([sound]), RATE_HZ, "7.1", {}, lossless=codec == "flac"
    )
    got = np.concatenate(list(native_rate.channels(out, native_rate.sound_format(out))), axis=1)
    assert len(got) == 8
    for k in (1, 2, 4, 5, 6, 7):  # 0 is silent, 3 is the bass, of which AAC keeps 120 Hz
        assert abs(level_db(got[k]) - level_db(sound[k])) < 1


@pytest.mark.parametrize(("layout", "loud"), [("5.1", [2]), ("stereo", [0, 1]), ("mono", [0])])
def test_a_line_of_other_channels_goes_where_a_voice_belongs(layout, loud, tmp_path):
    (tmp_path / "a.wav").write_bytes(file("phase-inverted stereo").getvalue())
    if layout == "stereo":
        (tmp_path / "a.wav").write_bytes(file("7.1, side right").getvalue())
    like = native_rate.SoundFormat(RATE_HZ, layout, 0.0)
    out = np.concatenate(list(native_rate.channels(tmp_path / "a.wav", like)), axis=1)
    assert [k for k, one in enumerate(out) if level_db(one) > level_db(VOICE) - 1] == loud


def test_a_live_stream_is_heard_by_what_came_so_far():
    resampler, heard = stream_writer.MonoResampler(), []
    for start in range(0, len(VOICE), 960):
        block = np.stack([VOICE[start : start + 960], -VOICE[start : start + 960]])
        heard.append(resampler(decode.audio_frame(block, RATE_HZ, "stereo")))
    assert abs(level_db(np.concatenate(heard)) - level_db(VOICE)) < 0.5


def two_tracks(default):
    tracks = [("aac", "mono", RATE_HZ, TONE), ("aac", "mono", RATE_HZ, VOICE)]
    return io.BytesIO(media("matroska", tracks, "libx264", default=default))


@pytest.mark.parametrize(("default", "wanted", "word"), [(1, VOICE, "number 2"), (0, TONE, "number 1")])
def test_the_track_marked_default_is_heard_and_the_others_are_named(default, wanted, word):
    heard = decode.decode_sound(two_tracks(default))
    assert abs(np.corrcoef(heard[2000:30000], wanted[2000:30000])[0, 1]) > 0.9
    said = decode.sounds_left_out(two_tracks(default))
    assert f"of 2 sound tracks {word} (no language), marked default, is used; left out: {2 - default} (no" in said


def test_one_track_needs_no_word():
    assert decode.sounds_left_out(file("stereo")) == ""


def test_a_format_that_pyav_makes_no_array_of_is_converted():
    sound = io.BytesIO(media("wav", [("pcm_s64le", "mono", RATE_HZ, VOICE)]))
    with containers.opened(sound) as container:
        assert next(container.decode(audio=0)).format.name == "s64"
    assert np.abs(decode.decode_sound(sound) - VOICE).max() < 1e-6


def test_layouts_that_are_written_have_the_names_that_ffmpeg_knows():
    assert all(av.AudioLayout(name).nb_channels for name in (*native_rate.LAYOUTS, *native_rate.ALIKE))
    assert set(native_rate.BY_NUMBER.values()) | set(native_rate.ALIKE.values()) <= set(native_rate.LAYOUTS)
