"""Faces and sound features of a clip, equal in training and inference."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dlib
import numpy as np
import pytest
from conftest import REAL, ROOT

from model import timing
from tasks.core import config, paths
from tasks.dubbing import hear, look
from tasks.dubbing.spans import Span
from tasks.features import audio, crop, face_track
from tasks.features.face_mesh import MeshTrack
from tasks.media import decode, native_rate
from tasks.preprocess import examine
from tasks.preprocess import stage as preprocess
from tasks.storage import index, shards

RATE = timing.SAMPLE_RATE_HZ


def click(at_s, num_frames=25):
    sound = np.zeros(timing.num_samples(num_frames), np.float32)
    sound[round(at_s * RATE)] = 1.0
    return sound


@pytest.mark.parametrize("at_s", [0.1, 0.333, 0.5, 0.87])
def test_a_click_is_in_the_mfcc_column_of_its_time(at_s):
    mfcc = audio.mfcc(click(at_s), 25)
    energy = np.abs(mfcc - mfcc[:, :1]).sum(axis=0)
    columns = np.flatnonzero(energy > 1e-3)
    assert abs(columns.mean() * timing.COLUMN_S - at_s) <= timing.COLUMN_S / 2 + 1e-9


@pytest.mark.parametrize("frame", [5, 12, 20])
def test_the_window_of_a_frame_is_centred_on_its_middle(frame):
    mfcc = audio.mfcc(click((frame + 0.5) / timing.FPS), 25)
    window = mfcc[:, timing.window_columns(np.array([frame]), mfcc.shape[1])[0]]
    energy = np.abs(window - mfcc[:, :1]).sum(axis=0)
    assert abs(np.flatnonzero(energy > 1e-3).mean() - (timing.WINDOW - 1) / 2) <= 0.5


@pytest.mark.parametrize("kind", ["a sound", "shorter than a frame", "silence"])
def test_log_mel_and_mfccs_are_librosas_to_the_bit(kind):
    """librosa itself takes seconds to load, so no command needs it."""
    import librosa

    rng = np.random.default_rng(5)
    sound = np.cumsum(rng.normal(0, 0.01, 100 if kind.startswith("short") else 40_000)) % 0.5 - 0.2
    sound = sound * (kind != "silence")
    num_frames = max(1, len(sound) // 640)
    sound = decode.fit(sound.astype(np.float32), num_frames)
    power = librosa.feature.melspectrogram(
        y=librosa.effects.preemphasis(sound, coef=0.97), sr=RATE, n_fft=512, win_length=400, hop_length=160,
        window="hamming", center=True, pad_mode="constant", n_mels=40, fmin=300, fmax=3700, htk=True, norm=None,
    )  # fmt: skip
    log_mel = np.log(np.maximum(power[:, : 4 * num_frames], 1e-10))
    coefficients = librosa.feature.mfcc(S=log_mel, n_mfcc=13, dct_type=2, norm="ortho", lifter=22)[1:]
    assert audio.log_mel(sound, num_frames).dtype == log_mel.dtype
    assert (audio.log_mel(sound, num_frames) == log_mel).all()
    assert (audio.mfcc(sound, num_frames) == coefficients.astype(np.float32)).all()


def test_mfccs_do_not_depend_on_loudness():
    sound = np.random.default_rng(0).normal(0, 0.05, timing.num_samples(20)).astype(np.float32)
    assert np.allclose(audio.mfcc(sound, 20), audio.mfcc(4 * sound, 20), atol=1e-2)


@pytest.mark.parametrize("samples", [0, 100, 640 * 10, 640 * 10 + 5, 640 * 30])
def test_mfccs_have_four_columns_a_frame_whatever_the_sound(samples):
    mfcc = audio.mfcc(np.full(samples, 0.1, np.float32), 10)
    assert mfcc.shape == (12, 40) and mfcc.dtype == np.float32 and np.isfinite(mfcc).all()


def test_mfccs_are_those_of_the_golden_version():
    """Changed on purpose? Then raise audio.MFCC_VERSION; otherwise old finished shards stay in use."""
    times = np.arange(timing.num_samples(10)) / RATE
    sound = (0.3 * np.sin(2 * np.pi * 440 * times) + 0.1 * np.sin(2 * np.pi * 2200 * times**2)).astype(np.float32)
    mfcc = audio.mfcc(sound, 10)
    assert audio.MFCC_VERSION == 1
    assert np.allclose(mfcc[[0, 3, 11], 20], GOLDEN_MFCC, atol=0.01), mfcc[[0, 3, 11], 20]


GOLDEN_MFCC = [74.835, -12.604, -27.278]


def test_a_crop_of_a_box_with_whole_pixels_is_those_pixels():
    frame = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    cut = crop.crop(frame, np.array([20.0, 10.0, 116.0, 106.0]), 96)
    assert (cut == frame[10:106, 20:116]).all()


def test_a_crop_near_the_edge_equals_that_of_a_frame_padded_with_its_edge():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (160, 170, 3), dtype=np.uint8)
    wide = np.pad(frame, ((50, 50), (50, 50), (0, 0)), "edge")
    for side in (40, 96, 150):  # without the border where it is not needed
        for left, top in rng.uniform(-20, 40, (40, 2)):
            box = np.array([left, top, left + side, top + side])
            near, far = (crop.crop(*inputs, 96).astype(int) for inputs in ((frame, box), (wide, box + 50)))
            assert np.abs(near - far).max() <= 1, box


def test_a_crop_outside_the_frame_repeats_its_edge():
    frame = np.full((50, 50, 3), 7, np.uint8)
    assert (crop.crop(frame, np.array([-40.0, -40.0, 56.0, 56.0]), 96) == 7).all()


def test_every_thread_has_a_detector_of_its_own():
    detectors = []
    barrier = threading.Barrier(3)

    def work(_):
        barrier.wait()
        detectors.append(face_track.detector())

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert len({id(detector) for detector in detectors}) == 3


def test_the_unpacked_detector_is_dlibs_and_a_damaged_file_does_no_harm(tmp_path, monkeypatch):
    monkeypatch.setenv("LIPGAN_MODELS", str(tmp_path))
    grey_HW = np.random.default_rng(0).integers(0, 255, (20, 20), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
    packed, loose = dlib.get_frontal_face_detector().run(grey_HW, 1, -1.5), -1.5
    assert packed[0]
    for _ in range(2):  # written, and read
        found = face_track._unpacked().run(grey_HW, 1, loose)
        assert all(list(one) == list(other) for one, other in zip(found, packed, strict=True))
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert list(face_track._unpacked().run(grey_HW, 1, loose)[0]) == list(packed[0])


def test_several_threads_find_the_boxes_of_one_thread(tiny):
    """dlib releases the GIL while it searches: a shared detector returns wrong boxes in 15-45 % of calls."""
    row = index.kept(index.read(paths.CLIPS), "train")[0]
    raw = shards.read(paths.RAW / row["shard"], row["offset"], row["size"])
    frames = [f for f in decode.frames(io.BytesIO(raw["mp4"]))][:12]
    alone = [face_track.detect(frame, 640) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda frame: face_track.detect(frame, 640), frames * 4))
    assert all((a == b).all() for a, b in zip(alone * 4, together, strict=True))


def test_inference_gets_the_arrays_that_training_stored(tiny):
    """Dubbing a clip with its own sound feeds the network the crops and windows of the training shard."""
    p = config.load(Path("params.yaml"))
    row = index.kept(index.read(paths.INDEX), "train")[0]
    stored = shards.decode(shards.read(paths.SHARDS / row["shard"], row["offset"], row["size"]))
    came_in = next(r for r in index.read(paths.CLIPS) if r["clip"] == row["clip"])
    raw = shards.read(paths.RAW / came_in["shard"], came_in["offset"], came_in["size"])
    Path("face.mp4").write_bytes(raw["mp4"])

    [face] = look.look(native_rate.pictures(Path("face.mp4")), p.faces).faces
    nothing = MeshTrack(np.full((len(face.found_N), 468, 3), np.nan), face.found_N * 0.0, face.found_N & False)
    followed = face_track.Track(face.boxes_N4, face.found_N, np.empty((0, 4)), 0.0, nothing)
    num_frames = len(followed.found_T)
    mfcc = hear.mfcc(hear.timeline([hear.line(Span(0.0, "face.mp4"))], 640 * num_frames), num_frames)
    [(crops, _)] = examine.cut(decode.frames(Path("face.mp4")), [followed], p.faces.size)
    [part] = examine.of_video(raw["mp4"], p.faces, p.quality, preprocess.tools())
    again = part.outcome.arrays

    assert (again["faces_TSS3"] == crops).all() and (again["mfcc_FW"] == mfcc).all()  # before they are stored
    assert (stored.mfcc_FW == mfcc).all() and (stored.found_T == followed.found_T).all()
    assert np.abs(stored.faces_TSS3.astype(int) - crops).mean() < 2.5  # JPEG at quality 95


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips in ../shared/real are not here")
def test_the_face_of_a_real_clip_is_found_and_centred():
    p = config.load(ROOT / "params.yaml").faces
    clip = sorted(REAL.glob("*.mpg"))[0]
    followed = face_track.track(decode.frames(clip), p)
    assert len(followed.found_T) == 75 and followed.found_T.mean() >= 0.99
    assert followed.boxes_T4[:, [0, 1]].min() > 0 and np.abs(np.diff(followed.boxes_T4, axis=0)).max() < 8
