"""Kinds of video that people have: each clip in is a row out, kept or refused with a word of REASONS."""

import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from turned import film

from tasks.core import config, paths
from tasks.core.errors import REASONS, Refusal
from tasks.media import decode
from tasks.preprocess import stage as preprocess
from tasks.storage import index, shards

CASES = ROOT.parent / "shared/cases"
P = config.load(ROOT / "params.yaml")
NUM_FRAMES = 14


@pytest.fixture(scope="module")
def talking(tiny_folder):
    """Frames and sound of a clip, and the tools.  Shape: (T, H, W, 3), (n,)"""
    from conftest import inside

    with inside(tiny_folder):
        row = index.kept(index.read(paths.CLIPS), "train")[0]
        mp4 = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"]
        frames = np.stack(list(decode.frames(io.BytesIO(mp4)))[:NUM_FRAMES])
        return frames, decode.decode_sound(io.BytesIO(mp4)), preprocess.tools()


def video(
    frames, sound, *, pixels="yuv420p", codec="libx264", container="mp4", channels=1, rate_hz=48_000, times=None,
    has=None, options=None,
):  # fmt: skip
    """A file as other people's programs write it.  channels: 0 for no sound; times: s of each frame; has: codec's"""
    out = io.BytesIO()
    times = times or [Fraction(t, 25) for t in range(len(frames))]
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        stream.codec_context.time_base = Fraction(1, 90_000)
        for name, value in (has or {}).items():
            setattr(stream.codec_context, name, value)
        voice = None
        if channels:
            layout = {1: "mono", 2: "stereo", 3: "2.1"}[channels]
            voice = file.add_stream("flac" if channels == 3 else "aac", rate=rate_hz, layout=layout)
        for picture, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels, threads=1)
            frame.pts, frame.time_base = round(time * 90_000), Fraction(1, 90_000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
        if voice:
            at = np.arange(round(len(frames) / 25 * rate_hz)) * 16_000 / rate_hz
            heard = np.interp(at, np.arange(len(sound)), sound).astype(np.float32)
            for start in range(0, len(heard), 1024):
                block = np.repeat(heard[None, start : start + 1024], channels, axis=0)
                form = "fltp" if channels < 3 else "s16"
                if form == "s16":
                    block = np.round(block.T.reshape(1, -1) * 32767).astype(np.int16)
                piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format=form, layout=voice.layout.name)
                piece.sample_rate, piece.pts, piece.time_base = rate_hz, start, Fraction(1, rate_hz)
                file.mux(voice.encode(piece))
            file.mux(voice.encode())
    return out.getvalue()


def outcome(content, tools, extension="mp4"):
    """The reason of each piece, or that it was kept; once, where all have the same."""
    [*pieces] = preprocess.read_clip({extension: content, "json": b'{"source": "a"}'}, P.faces, P.quality, tools)
    assert pieces
    words = []
    for one in pieces:
        refusal = one.clip if isinstance(one.clip, Refusal) else one.refusal(P.quality)
        assert refusal is None or (refusal.reason in REASONS and refusal.detail)
        words.append(refusal.reason if refusal else "kept")
    return words[0] if len(set(words)) == 1 else ",".join(words)


def quarter_turned(frames):
    return np.ascontiguousarray(np.rot90(frames, axes=(1, 2)))


def narrow(picture):
    """As a camera stores it whose pixels are 64:45."""
    return cv2.resize(picture, (round(picture.shape[1] * 45 / 64 / 2) * 2, len(picture)), interpolation=cv2.INTER_AREA)


KINDS = {
    "plain": ({}, lambda f: f, "kept"),
    "10 bit": ({"pixels": "yuv420p10le"}, lambda f: f, "kept"),
    "12 bit": ({"pixels": "yuv420p12le", "codec": "ffv1", "container": "matroska"}, lambda f: f, "kept"),
    "4:4:4": ({"pixels": "yuv444p"}, lambda f: f, "kept"),
    "grey": ({"pixels": "gray", "codec": "ffv1", "container": "matroska"}, lambda f: f, "kept"),
    "transparent": ({"pixels": "yuva420p", "codec": "ffv1", "container": "matroska"}, lambda f: f, "kept"),
    "interlaced": ({"options": {"x264-params": "tff=1"}}, lambda f: f, "kept"),
    "HLG": ({"pixels": "yuv420p10le", "has": {"color_trc": 18}}, lambda f: f, "kept"),
    "PQ": ({"pixels": "yuv420p10le", "has": {"color_trc": 16}}, lambda f: f, "kept"),
    "wide pixels": (
        {"has": {"sample_aspect_ratio": Fraction(64, 45)}},
        lambda f: np.stack([narrow(one) for one in f]),
        "kept",
    ),
    "no sound": ({"channels": 0}, lambda f: f, "no_sound"),
    "stereo": ({"channels": 2}, lambda f: f, "kept"),
    "3 channels": ({"channels": 3, "container": "matroska"}, lambda f: f, "kept"),
    "44.1 kHz": ({"rate_hz": 44_100}, lambda f: f, "kept"),
    "webm": ({"codec": "libvpx-vp9", "container": "matroska"}, lambda f: f, "kept"),
    "one frame": ({}, lambda f: f[:1], "too_short"),
    "odd size": ({"pixels": "yuv444p"}, lambda f: f[:, :159, :157], "kept"),
    "very small": ({}, lambda f: np.stack([cv2.resize(one, (32, 24)) for one in f]), "no_face"),
    "on its side, and says nothing of it": ({}, quarter_turned, "no_face"),
    "uneven times": ({"times": [Fraction(t * t, 400) + Fraction(t, 50) for t in range(NUM_FRAMES)]}, lambda f: f, None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_video_is_kept_or_refused_for_the_right_reason(talking, kind):
    frames, sound, tools = talking
    how, change, expected = KINDS[kind]
    result = outcome(video(change(frames), sound, **how), tools)
    assert result == expected or (expected is None and (result == "kept" or result in REASONS)), result


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_video_of_any_orientation_that_says_so_is_kept(talking, orientation, tmp_path):
    frames, sound, tools = talking
    path = film(tmp_path / "a.mov", frames, orientation, sound=sound[: len(frames) * 640])
    assert outcome(path.read_bytes(), tools, "mov") == "kept"


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not at hand")
def test_the_case_in_hlg_is_kept(talking):
    assert outcome((CASES / "video-hlg-10bit.mov").read_bytes(), talking[2], "mov") == "kept"


def test_a_face_in_wide_pixels_is_cut_as_wide_as_it_is_high(talking):
    """The crops are those of the same film in square pixels, not of a thin face."""
    frames, sound, tools = talking
    thin = {"has": {"sample_aspect_ratio": Fraction(64, 45)}}
    square, wide = (
        next(iter(preprocess.read_clip({"mp4": content, "json": b'{"source": "a"}'}, P.faces, P.quality, tools))).clip
        for content in (video(frames, sound), video(np.stack([narrow(one) for one in frames]), sound, **thin))
    )
    eyes, chins = ([clip.landmarks_T682[:, k] for clip in (square, wide)] for k in (slice(36, 48), 8))
    heights = [np.linalg.norm(chin - eye.mean(axis=1), axis=1).mean() for eye, chin in zip(eyes, chins, strict=True)]
    widths = [np.ptp(eye[..., 0], axis=1).mean() for eye in eyes]
    assert widths[1] / heights[1] == pytest.approx(widths[0] / heights[0], rel=0.06)  # in stored pixels: 30 % off


@pytest.mark.parametrize("extension", ["mov", "mkv", "avi", "mpg"])
def test_the_bytes_decide_the_format_not_the_name(talking, extension):
    frames, sound, tools = talking
    assert outcome(video(frames, sound), tools, extension) == "kept"


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty_file"), (bytes(4096), "unreadable"), (b"hello", "unreadable")]
)
def test_a_file_that_is_not_a_video_is_refused(talking, content, reason):
    assert outcome(content, talking[2]) == reason


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["plain", "10 bit", "4:4:4", "3 channels", "webm", "uneven times"]),
    share=st.floats(0, 1), hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=20),
)  # fmt: skip
def test_a_clip_of_any_kind_truncated_and_damaged_anywhere_is_a_row(talking, kind, share, hits):
    frames, sound, tools = talking
    how, change, _ = KINDS[kind]
    whole = bytearray(video(change(frames), sound, **how))
    for place, value in hits:
        whole[min(int(place * len(whole)), len(whole) - 1)] = value
    for word in outcome(bytes(whole[: int(share * len(whole))]), tools).split(","):
        assert word == "kept" or word in REASONS
