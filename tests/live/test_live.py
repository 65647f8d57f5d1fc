"""A live stream gives the windows of the whole audio, and the frames of dubbing the picture."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from model import mfcc, samples, timing
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.dubbing import dub
from tasks.dubbing.options import Options
from tasks.features import audio
from tasks.features.mesh_points import MeshPoints
from tasks.inference import lip_sync
from tasks.inference.lip_sync import LipSync
from tasks.live import file as live_file
from tasks.live import stream as live
from tasks.live.stream import LiveStream, Portrait, WindowStream
from tasks.media import decode, native_rate
from tasks.media.wav import write_wav
from tasks.provenance import c2pa_mark


def noise(num):
    return np.random.default_rng(0).normal(0, 0.1, num).astype(np.float32)


def streamed(sound, size):
    stream = WindowStream()
    return np.concatenate([*(stream.push(sound[at : at + size]) for at in range(0, len(sound), size)), stream.end()])


@pytest.mark.parametrize("num", [1, 199, 640, 3240, 640 * 40, 640 * 40 + 321])
@pytest.mark.parametrize("size", [160, 320, 999])
def test_a_stream_gives_the_windows_of_the_whole_audio(num, size):
    num_frames = timing.num_frames_of_sound(num)
    whole = samples.windows(audio.mfcc(noise(num), num_frames), np.arange(num_frames))
    got = streamed(noise(num), size)
    assert got.shape == whole.shape
    assert np.abs(got - whole).max() < 1e-4


def test_a_frame_comes_with_the_last_sample_it_needs_and_not_before():
    stream = WindowStream()
    assert len(stream.push(noise(live.LOOK_AHEAD_SAMPLES - 1))) == 0
    assert len(stream.push(noise(1))) == 1
    assert len(stream.push(noise(639))) == 0
    assert len(stream.push(noise(1))) == 1
    assert live.LOOK_AHEAD_S == 0.2025


def test_memory_does_not_grow_with_the_length():
    stream = WindowStream()
    for _ in range(100):
        stream.push(noise(640))
    assert len(stream._sound) < 3 * 640 and stream._columns_FW.shape[1] < 2 * timing.WINDOW


@pytest.fixture
def portrait(trained):
    picture = next(decode.frames(Path("face.mp4")))
    cv2.imwrite("face.png", picture[..., ::-1])
    write_wav(Path("speech.wav"), noise(640 * 12 + 100))
    sync = LipSync(paths.GENERATOR)
    return Portrait(picture, sync, lip_sync.face_params(sync.about, paths.GENERATOR), MeshPoints())


def test_a_live_stream_gives_the_frames_of_dubbing_the_picture(portrait):
    stream, frames = LiveStream(portrait), []
    for chunk in live.chunks(decode.mono(Path("speech.wav"))):
        frames += stream.push(chunk)
    frames += stream.end()
    dub.run("face.png", "speech.wav", "out/a.mkv", options=Options(lossless=True))
    dubbed = np.stack([picture.rgb() for picture, _ in native_rate.pictures(Path("out/a.mkv"))])
    assert [one.number for one in frames] == list(range(13)) and not any(one.repeated for one in frames)
    height, width = portrait.picture_HW3.shape[:2]
    made = np.stack([one.picture_HW3 for one in frames])
    assert np.abs(made.astype(int) - dubbed[:, :height, :width]).max() <= 2  # batches round differently
    quiet_FW = np.zeros((mfcc.NUM_MFCC, timing.WINDOW), np.float32)
    assert (portrait.frame(0, quiet_FW) != portrait.frame(0, quiet_FW + 300)).any()  # the audio has an effect


def test_late_frames_are_skipped_and_every_number_comes_once(portrait):
    now_s = 0.0
    stream = LiveStream(portrait, lambda: now_s)
    [first] = stream.push(noise(live.LOOK_AHEAD_SAMPLES))
    now_s = live.DELAY_S + 3.5 / timing.FPS  # the time of frames 1 and 2 is over
    rest = list(stream.push(noise(640 * 5)))
    assert [one.number for one in rest] == [1, 2, 3, 4, 5]
    assert [one.repeated for one in rest] == [True, True, False, False, False]
    assert rest[0].picture_HW3 is first.picture_HW3 and rest[1].picture_HW3 is first.picture_HW3


def test_the_file_of_a_stream_contains_all_audio_in_place_and_is_marked(portrait):
    tally = live_file.run("face.png", "speech.wav", "out/a.mp4")
    assert tally.num_frames == 13 and tally.num_repeated == 0
    assert len(list(decode.frames(Path("out/a.mp4")))) == 13
    given, got = decode.decode_sound(Path("speech.wav")), decode.decode_sound(Path("out/a.mp4"))
    lags = [float(given[2000:6000] @ got[2000 + lag : 6000 + lag]) for lag in range(-1500, 1500)]
    assert abs(int(np.argmax(lags)) - 1500) <= 1
    assert c2pa_mark.read(Path("out/a.mp4")).state == "valid"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"face": "none.png"}, "none.png: no such file"),
        ({"audio": "face.png"}, "face.png: no sound can be read"),
        ({"face": "grey.png"}, "no face found in the picture"),
        ({"options": Options(strength=0.5)}, "--strength is of --generator mesh"),
        ({"out": "a.avi"}, "--out must end in .mp4"),
        ({"out": "talk.mp4", "audio": "./talk.mp4"}, "--out: talk.mp4 would overwrite the input ./talk.mp4"),
        ({"out": "folder.mp4"}, "--out: folder.mp4 is a folder; name a file in it"),
        ({"options": Options(backend="abacus")}, "--backend must be one of auto, torch"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(portrait, change, message):
    cv2.imwrite("grey.png", np.full((96, 96, 3), 127, np.uint8))
    shutil.copy("speech.wav", "talk.mp4")
    Path("folder.mp4").mkdir(exist_ok=True)
    Path("folder.mp4/kept").touch()
    with pytest.raises(UserError, match=message):
        live_file.run(**({"face": "face.png", "audio": "speech.wav", "out": "out/a.mp4"} | change))
    assert list(Path().glob("out/*")) == []
