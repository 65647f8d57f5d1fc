"""Any video that a person may have, dubbed from end to end: each a correct result or a clear line, and nothing left."""

import json
import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.dubbing.options import Options
from tasks.media import decode, native_rate
from tasks.media.wav import write_wav

NUM = 8


def face_frames():
    return np.stack(list(decode.frames(Path("face.mp4"))))


def speech(seconds, path="speech.wav"):
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16000)).astype(np.float32)
    write_wav(Path(path), noise)
    return path


def write(
    path, pictures, *, fps=25, codec="libx264", pix_fmt="yuv420p", times=None, channels=1, options=None, stream_has=None
):
    """What other people's programs write.  times: in ticks of 1/600 s; channels: 0 for no sound"""
    base = Fraction(1, 600)
    layout = {0: "", 1: "mono", 2: "stereo", 6: "5.1"}[channels]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], pix_fmt
        stream.bit_rate = 4_000_000
        for name, value in (stream_has or {}).items():
            setattr(stream.codec_context, name, value)
        if times is not None:
            stream.codec_context.time_base = base
        if channels:
            voice = out.add_stream({"webm": "libopus", "mpg": "mp2"}.get(path.name.split(".")[-1], "aac"), rate=48000)
            voice.layout = layout
        for n, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format=pix_fmt)
            if times is not None:
                frame.pts, frame.time_base = times[n], base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if not channels:
            return str(path)
        frame = av.AudioFrame.from_ndarray(np.zeros((channels, 24000), np.float32), format="fltp", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), 0
        resampler = av.AudioResampler(voice.format, voice.layout, voice.rate, voice.frame_size or None)
        for block in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(voice.encode(block))
        out.mux(voice.encode(None))
    return str(path)


def scaled(pictures, width, height):
    return [cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC) for picture in pictures]


def within(pictures, width, height):
    """A face of its own size in a larger picture."""
    made = []
    for picture in pictures:
        whole = np.full((height, width, 3), 90, np.uint8)
        top, left = (height - len(picture)) // 2, (width - picture.shape[1]) // 2
        whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        made.append(whole)
    return made


VIDEOS = {
    "mov of mpeg4": lambda faces: write(Path("a.mov"), faces, codec="mpeg4"),
    "webm of vp8": lambda faces: write(Path("a.webm"), faces, codec="libvpx"),
    "avi": lambda faces: write(Path("a.avi"), faces, codec="mpeg4"),
    "mpg": lambda faces: write(Path("a.mpg"), faces, codec="mpeg1video"),
    "mkv": lambda faces: write(Path("a.mkv"), faces),
    "flv": lambda faces: write(Path("a.flv"), faces, codec="flv"),
    "wmv": lambda faces: write(Path("a.wmv"), faces, codec="wmv2"),
    "gif": lambda faces: write(Path("a.gif"), faces, codec="gif", pix_fmt="rgb8", channels=0),
    "1 fps": lambda faces: write(Path("a.mp4"), faces, fps=1),
    "120 fps": lambda faces: write(Path("a.mp4"), np.repeat(faces, 3, axis=0), fps=120),
    "variable rate": lambda faces: write(Path("a.mp4"), faces, times=[0, 24, 40, 90, 110, 140, 200, 230]),
    "odd size": lambda faces: write(Path("a.mkv"), scaled(faces, 201, 175), codec="ffv1", pix_fmt="bgr0"),
    "ten bits": lambda faces: write(Path("a.mp4"), faces, pix_fmt="yuv420p10le"),
    "4:4:4": lambda faces: write(Path("a.mp4"), faces, pix_fmt="yuv444p"),
    "full range": lambda faces: write(Path("a.mp4"), faces, pix_fmt="yuvj420p"),
    "another matrix": lambda faces: write(Path("a.mp4"), faces, stream_has={"colorspace": 1}),
    "alpha": lambda faces: write(Path("a.webm"), faces, codec="libvpx-vp9", pix_fmt="yuva420p"),
    "interlaced": lambda faces: write(Path("a.mp4"), faces, options={"x264-params": "tff=1"}),
    "stereo": lambda faces: write(Path("a.mp4"), faces, channels=2),
    "5.1": lambda faces: write(Path("a.mp4"), faces, channels=6),
    "8K": lambda faces: write(
        Path("a.mp4"), within(scaled(faces[:3], 640, 640), 7680, 4320), options={"preset": "ultrafast"}
    ),
}


@pytest.mark.parametrize("kind", VIDEOS)
def test_any_video_keeps_its_frames_times_and_size(trained, kind):
    path = VIDEOS[kind](face_frames()[:NUM])
    source = [(picture, time_s) for picture, time_s in native_rate.pictures(Path(path))]
    dub.run(path, speech(0.3), "out/a.mp4", options=Options(length="video"))
    made = [(picture, time_s) for picture, time_s in native_rate.pictures(Path("out/a.mp4"))]
    assert len(made) == len(source) > 2
    assert max(abs(a - b) for (_, a), (_, b) in zip(source, made, strict=True)) < 1e-3
    height, width = source[0][0].shape[:2]
    assert made[0][0].shape[:2] == (height + height % 2, width + width % 2)
    sidecar = json.loads(Path("out/a.json").read_text())
    assert sidecar["changed"] > len(made) / 2, sidecar["passed_through"]  # dlib does not find the face in every frame
    top = slice(0, height // 8)
    one, other = made[0][0].rgb()[top, :width].astype(np.float32), source[0][0].rgb()[top].astype(np.float32)
    if kind == "gif":  # single pixels of a dithered picture have colours that 4:2:0 cannot hold
        one, other = cv2.blur(one, (9, 9)), cv2.blur(other, (9, 9))
    assert np.abs(one - other).mean() < 3  # colours of what is not changed are kept
    assert sorted(os.listdir("out")) == ["a.json", "a.mp4"]


@pytest.mark.parametrize("ending", ["bmp", "webp", "tiff"])
def test_a_picture_of_any_kind_speaks(trained, ending):
    cv2.imwrite(f"face.{ending}", face_frames()[0][..., ::-1])
    dub.run(f"face.{ending}", speech(0.3), "out/a.mp4")
    assert json.loads(Path("out/a.json").read_text())["changed"] == 8


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_with_spans_the_audio_keeps_its_channels(trained, channels):
    path = write(Path("a.mp4"), face_frames()[:NUM], channels=channels)
    dub.run(path, None, "out/a.mp4", spans=[(0.04, speech(0.2))])
    assert native_rate.sound_format(Path("out/a.mp4")).num_channels == channels


def test_damage_in_the_middle_is_dubbed_or_refused_and_leaves_nothing(trained):
    path = Path(write(Path("a.mp4"), np.concatenate([face_frames()] * 2)))
    content = path.read_bytes()
    outcomes = []
    for share, length in ((0.5, 40), (0.4, len(content) // 3)):
        at = round(share * len(content))
        path.write_bytes(content[:at] + bytes(length) + content[at + length :])
        try:
            dub.run(str(path), speech(0.3), "out/a.mp4")
            outcomes.append("dubbed")
            assert len(list(native_rate.pictures(Path("out/a.mp4")))) >= 50
        except UserError as error:
            assert "no picture can be read: damaged after" in str(error)
            outcomes.append("refused")
        assert not [name for name in os.listdir("out") if name.startswith(".")]
    assert outcomes[1] == "refused"


def test_an_unwritable_path_is_one_line(trained):
    Path("file").write_text("not a folder")
    with pytest.raises(UserError, match=r"file/a\.mp4: cannot be written"):
        dub.run("face.mp4", speech(0.3), "file/a.mp4")
    Path("taken.mp4").mkdir()
    Path("taken.mp4/kept").write_text("someone's")
    with pytest.raises(UserError, match=r"taken\.mp4 is a folder"):
        dub.run("face.mp4", "speech.wav", "taken.mp4")
    assert Path("taken.mp4/kept").read_text() == "someone's"


def test_the_label_is_seen_in_every_frame_and_changes_nothing_else(trained):
    speech(0.3)
    exact = {"length": "video", "lossless": True}
    dub.run("face.mp4", "speech.wav", "out/plain.mkv", options=Options(**exact))
    dub.run("face.mp4", "speech.wav", "out/label.mkv", options=Options(label="AI dubbed", **exact))
    plain, label = (
        np.stack([picture.rgb() for picture, _ in native_rate.pictures(Path(f"out/{name}.mkv"))])
        for name in ("plain", "label")
    )
    assert plain.shape == label.shape
    height, width = plain.shape[1:3]
    differs = (plain != label).any(axis=3)
    assert differs[:, height * 9 // 10 :, : width // 4].any(axis=(1, 2)).all()
    assert not differs[:, : height * 3 // 4].any() and not differs[:, :, width * 9 // 10 :].any()
    lower = label[:, height * 8 // 10 :, : width // 2]
    assert (lower.max(axis=(1, 2, 3)) > 200).all()  # white words


def test_side_by_side_is_the_source_left_and_the_result_right(trained):
    speech(0.3)
    dub.run("face.mp4", "speech.wav", "out/a.mkv", options=Options(lossless=True, side_by_side="out/both.mkv"))
    made = np.stack([picture.rgb() for picture, _ in native_rate.pictures(Path("out/a.mkv"))])
    both = [(picture.rgb(), time_s) for picture, time_s in native_rate.pictures(Path("out/both.mkv"))]
    width = made.shape[2]
    assert len(both) == len(made) and both[0][0].shape[1] == 2 * width
    assert (np.stack([picture[:, :width] for picture, _ in both]) == face_frames()).all()
    assert (np.stack([picture[:, width:] for picture, _ in both]) == made).all()
    times = [time_s for _, time_s in native_rate.pictures(Path("out/a.mkv"))]
    assert [time_s for _, time_s in both] == times
    assert (
        abs(
            native_rate.sound_format(Path("out/both.mkv")).duration_s
            - native_rate.sound_format(Path("out/a.mkv")).duration_s
        )
        < 0.05
    )


def cartoon():
    """A drawn face: flat colours, black lines, eyes as large as a cartoon's."""
    picture = np.full((480, 480, 3), (240, 235, 200), np.uint8)
    cv2.ellipse(picture, (240, 250), (120, 150), 0, 0, 360, (255, 214, 170), -1)
    cv2.ellipse(picture, (240, 250), (120, 150), 0, 0, 360, (40, 30, 30), 4)
    for x in (190, 290):
        cv2.ellipse(picture, (x, 215), (28, 20), 0, 0, 360, (255, 255, 255), -1)
        cv2.ellipse(picture, (x, 215), (28, 20), 0, 0, 360, (40, 30, 30), 3)
        cv2.circle(picture, (x, 217), 12, (60, 40, 30), -1)
        cv2.ellipse(picture, (x, 180), (34, 10), 0, 180, 360, (70, 45, 30), 8)
    cv2.line(picture, (240, 225), (228, 282), (150, 100, 80), 4)
    cv2.line(picture, (228, 282), (250, 284), (150, 100, 80), 4)
    cv2.ellipse(picture, (240, 325), (46, 16), 0, 0, 360, (180, 60, 60), -1)
    cv2.ellipse(picture, (240, 110), (125, 60), 0, 180, 360, (70, 45, 30), -1)
    return picture


@pytest.mark.parametrize(("change", "found_by"), [
    (lambda picture: picture, None),
    (lambda picture: cv2.resize(picture, (50, 50), interpolation=cv2.INTER_AREA), "at twice the size"),
])  # fmt: skip
def test_a_drawn_face_is_found_and_the_sidecar_says_how(trained, change, found_by):
    cv2.imwrite("cartoon.png", change(cartoon())[..., ::-1])
    dub.run("cartoon.png", speech(0.3), "out/a.mp4")
    sidecar = json.loads(Path("out/a.json").read_text())
    assert sidecar["changed"] == sidecar["frames"] == 8
    chain = ("dlib's frontal detector", "at twice the size", "with a lower threshold")
    assert sidecar["found_by"] in chain if found_by is None else sidecar["found_by"] == found_by
