"""Dubbing with a generator that was trained for six steps: it moves no mouth well, but all around it is real."""

from pathlib import Path

import numpy as np
import pytest

from model import timing
from tasks import checkpoints, config, dub, inference, media, paths
from tasks.demo import write_wav
from tasks.stage import UserError


def speech(samples):
    noise = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    write_wav(Path("speech.wav"), noise)
    return "speech.wav"


@pytest.mark.parametrize("samples", [641, 640 * 20, 640 * 20 + 1, 640 * 70 + 320])
def test_the_output_is_as_long_as_the_sound(trained, samples):
    dub.run("face.mp4", speech(samples), "out/a.mp4")
    video = media.decode_video(Path("out/a.mp4"), 10_000)
    assert len(video.frames) == timing.num_frames_of_sound(samples)
    sound = media.decode_sound(Path("out/a.mp4"))
    assert abs(len(sound) - samples) <= 640 + 1024  # AAC comes in blocks of 1024


def test_nothing_above_the_mouth_changes_before_encoding(trained):
    sync = inference.LipSync(paths.GENERATOR)
    followed = dub.find_face(Path("face.mp4"), config.load(Path("params.yaml")).faces)
    num_frames = len(followed.found_T)
    mfcc = np.zeros((12, 4 * num_frames), np.float32)
    made = np.stack(list(dub.dubbed(Path("face.mp4"), followed, sync, mfcc, num_frames)))
    real = np.stack(list(media.frames(Path("face.mp4"))))
    top = int(followed.boxes_T4[:, 1].max() + 0.4 * (followed.boxes_T4[:, 3] - followed.boxes_T4[:, 1]).min())
    assert (made[:, :top] == real[:, :top]).all()
    assert (made != real).any()


def test_frames_without_a_face_pass_through_and_the_count_stays(trained):
    real = np.stack(list(media.frames(Path("face.mp4"))))
    real[10:20] = 90
    media.encode_video(Path("gap.mp4"), real, np.zeros(640 * len(real), np.float32))
    sync = inference.LipSync(paths.GENERATOR)
    followed = dub.find_face(Path("gap.mp4"), config.load(Path("params.yaml")).faces)
    assert not followed.found_T[10:20].any() and followed.found_T[:10].all()
    mfcc = np.zeros((12, 4 * len(real)), np.float32)
    made = list(dub.dubbed(Path("gap.mp4"), followed, sync, mfcc, len(real)))
    decoded = list(media.frames(Path("gap.mp4")))
    assert len(made) == len(real)
    assert all((made[t] == decoded[t]).all() for t in range(10, 20))
    assert not (made[5] == decoded[5]).all()


def test_a_picture_speaks(trained):
    import cv2

    face = next(media.frames(Path("face.mp4")))
    cv2.imwrite("face.png", face[..., ::-1])
    dub.run("face.png", speech(640 * 12), "out/a.mp4")
    assert len(media.decode_video(Path("out/a.mp4"), 100).frames) == 12


def test_pasting_a_crop_back_where_it_came_from_changes_little(trained):
    from tasks import features

    frame = next(media.frames(Path("face.mp4")))
    box = np.array([40.3, 30.2, 121.9, 111.8])
    back = dub.paste(frame, features.crop(frame, box, 96), box)
    assert np.abs(back.astype(int) - frame).mean() < 0.5
    assert (back[:30] == frame[:30]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"face": "none.mp4"}, "none.mp4: no such file"),
        ({"audio": "none.wav"}, "none.wav: no such file"),
        ({"out": "a.avi"}, "--out must end in .mp4"),
        ({"checkpoint": "none.safetensors"}, "none.safetensors: no such file; train with `dvc repro`"),
        ({"face": "speech.wav"}, "no picture can be read: there is no video stream"),
        ({"audio": "mute.mp4"}, "no sound can be read: there is no sound stream"),
        ({"face": "text.mp4"}, "no picture can be read"),
        ({"face": "grey.mp4"}, "no face found in 5 frames"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_output(trained, change, message):
    speech(6400)
    grey = [np.full((96, 96, 3), 127, np.uint8)] * 5
    media.encode_video(Path("grey.mp4"), grey, np.zeros(3200, np.float32))
    media.encode_video(Path("mute.mp4"), grey, None)
    Path("text.mp4").write_text("no video")
    given = {"face": "face.mp4", "audio": "speech.wav", "out": "out/a.mp4"} | change
    with pytest.raises(UserError, match=message) as caught:
        dub.run(**given)
    assert "\n" not in str(caught.value)
    assert not Path("out/a.mp4").exists()


def test_weights_of_another_network_are_refused_by_name(trained):
    weights, about = checkpoints.load(paths.GENERATOR)
    about["params"]["model"]["width"] = 0.25
    checkpoints.save(Path("models/other.safetensors"), weights, about)
    with pytest.raises(UserError, match=r"other\.safetensors: weights do not fit the network"):
        inference.LipSync(Path("models/other.safetensors"))


def test_the_generator_does_not_see_the_mouth_it_replaces(trained):
    sync = inference.LipSync(paths.GENERATOR)
    faces = np.random.default_rng(0).integers(0, 255, (3, 96, 96, 3), dtype=np.uint8)
    other = faces.copy()
    other[:, 48:] = 0
    windows = np.zeros((3, 12, 35), np.float32)
    assert (sync.generate(faces[0], faces, windows) == sync.generate(faces[0], other, windows)).all()


def test_many_frames_at_a_time_are_the_frames_one_by_one(trained):
    sync = inference.LipSync(paths.GENERATOR)
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 255, (40, 96, 96, 3), dtype=np.uint8)
    windows = rng.normal(size=(40, 12, 35)).astype(np.float32)
    together = sync.generate(faces[0], faces, windows)
    alone = np.concatenate([sync.generate(faces[0], faces[k : k + 1], windows[k : k + 1]) for k in range(40)])
    assert np.abs(together.astype(int) - alone).max() <= 1
