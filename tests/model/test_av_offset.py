"""Figures have known answers, gates refuse by name, and planted offsets are found with the right sign."""

import numpy as np
import pytest
from conftest import ROOT

from model import av_offset, loudness, timing
from tasks.core import config, paths
from tasks.core.errors import REASONS
from tasks.preprocess import gates
from tasks.storage import index

P = config.load(ROOT / "params.yaml")
GOOD = {
    "black_share": 0.0, "frozen_share": 0.0, "cut_change": 0.02, "face_px": 90.0, "jump": 0.05, "yaw_deg": 5.0,
    "sound_db": -13.0, "clipped_share": 0.0, "length_diff_s": 0.02, "spread_db": 30.0, "steady_db": -12.0, "av_left": 0,
    "av_confidence": 0.4, "av_moved": 0, "num_faces": 1,
}  # fmt: skip


def talk(num_frames=90, late=0, seed=0):
    """A mouth that opens with syllables, and loudness `late` frames behind it.  Shape: -> (T,), (T,)"""
    rng = np.random.default_rng(seed)
    syllables = np.convolve(rng.uniform(0, 1, num_frames + 60) ** 3, np.hanning(6), "same")[20:]
    mouth = syllables[12 : 12 + num_frames]
    levels = syllables[12 - late : 12 - late + num_frames]
    return mouth + rng.normal(0, 0.03, num_frames), levels**0.5


# ---- figures


@pytest.mark.parametrize("late", range(-7, 8))
def test_a_planted_offset_is_found_with_its_sign(late):
    found, confidence = av_offset.offset(*talk(late=late))
    assert abs(found - late) <= 1 and confidence > 0.1


def test_a_mouth_that_does_not_move_with_the_sound_has_no_confidence():
    confidences = [av_offset.offset(talk(seed=k)[0], talk(seed=k + 100)[1])[1] for k in range(20)]
    assert np.median(confidences) < P.quality.sync_confidence


@pytest.mark.parametrize("num_frames", [1, 2, 8, 12])
def test_a_clip_too_short_has_offset_zero_or_a_finite_one(num_frames):
    found, confidence = av_offset.offset(np.zeros(num_frames), np.zeros(num_frames))
    assert abs(found) <= num_frames and np.isfinite(confidence)


def test_loudness_is_in_decibel_of_full_scale():
    sound = np.sin(2 * np.pi * 100 * np.arange(timing.num_samples(3)) / timing.SAMPLE_RATE_HZ)
    assert loudness.frame_levels_db(sound, 3) == pytest.approx([-3.01] * 3, abs=0.01)
    assert loudness.frame_levels_db(0 * sound, 3) == pytest.approx([loudness.FLOOR_DB] * 3)


def test_a_held_chord_is_steady_and_a_gliding_voice_is_not():
    times = np.arange(timing.num_samples(80)) / timing.SAMPLE_RATE_HZ
    chord = sum(np.sin(2 * np.pi * f * times) for f in (220.0, 277.0, 330.0))
    pitch = 160 + 60 * np.sin(2 * np.pi * 2.5 * times)
    voice = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / timing.SAMPLE_RATE_HZ) for k in range(1, 12))
    voice *= np.sin(2 * np.pi * 3 * times) > 0  # syllables
    assert gates.steady_db(chord) > -1 and gates.steady_db(voice) < -6
    assert gates.steady_db(voice) < gates.steady_db(voice + 2 * chord) < gates.steady_db(chord)
    assert gates.steady_db(0 * chord) == loudness.FLOOR_DB


def test_the_speaker_is_the_face_whose_mouth_moves_with_the_sound():
    mouth, levels = talk()
    other = talk(seed=9)[0]
    assert av_offset.speaking(np.stack([other, mouth]), levels) == 1
    assert av_offset.speaking(np.stack([mouth, 0 * mouth]), levels) == 0


def test_black_frozen_and_cut_pictures_are_measured():
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    moving = [np.roll(scene, k, axis=1) for k in range(10)]

    class Shown:
        def __init__(self, frame):
            self.frame = frame

        def luma(self):
            return self.frame[..., 0]

    def measured(frames):
        watch = gates.PictureStatistics()
        assert all(watch.add(Shown(frame)) for frame in frames)
        return watch.figures()

    assert measured(moving) | {"cut_change": 0} == {"black_share": 0, "frozen_share": 0, "cut_change": 0}
    assert measured([*moving[:5], *[0 * scene] * 5])["black_share"] == 0.5
    assert measured([*moving[:5], *[moving[4]] * 4])["frozen_share"] == 0.5
    assert measured([*[0 * scene + 30] * 5, *[0 * scene + 200] * 5])["cut_change"] == pytest.approx(170 / 255)


# ---- gates


@pytest.mark.parametrize(
    ("figure", "value", "reason"),
    [
        ("black_share", 0.5, "black"),
        ("frozen_share", 0.9, "frozen"),
        ("cut_change", 0.5, "scene_cut"),
        ("face_px", 20.0, "face_too_small"),
        ("jump", 1.5, "jumping_box"),
        ("yaw_deg", 60.0, "profile"),
        ("sound_db", -80.0, "silence"),
        ("clipped_share", 0.2, "clipping"),
        ("length_diff_s", -3.0, "length_mismatch"),
        ("length_diff_s", 3.0, "length_mismatch"),
        ("spread_db", 2.0, "noisy_sound"),
        ("steady_db", -0.5, "music"),
        ("av_left", -6, "out_of_sync"),
    ],
)
def test_a_figure_beyond_its_limit_is_refused_with_reason_and_limit(figure, value, reason):
    [refusal] = gates.refusals(GOOD | {figure: value}, P.quality)
    assert refusal.reason == reason and refusal.detail.startswith(figure) and "quality." in refusal.detail


def test_good_figures_pass_and_an_offset_without_confidence_too():
    assert gates.refusals(GOOD, P.quality) == []
    assert gates.refusals(GOOD | {"av_left": 9, "av_confidence": 0.01}, P.quality) == []


def test_every_gate_has_a_reason_a_limit_and_a_column():
    for gate in gates.GATES:
        assert gate.word in REASONS and hasattr(P.quality, gate.limit) and gate.figure in index.INDEX_SCHEMA.names
    for flag in gates.FLAGS:
        assert flag.word not in REASONS and hasattr(P.quality, flag.limit) and flag.figure in index.INDEX_SCHEMA.names


@pytest.mark.parametrize(
    ("figure", "value", "flag"),
    [
        ("yaw_deg", 20.0, "turned"),
        ("spread_db", 10.0, "noise"),
        ("steady_db", -4.0, "tones"),
        ("av_moved", -5, "moved"),
        ("num_faces", 2, "several_faces"),
    ],
)
def test_unusual_figures_are_flagged_and_kept(figure, value, flag):
    assert gates.flags(GOOD, P.quality) == ""
    assert gates.flags(GOOD | {figure: value}, P.quality) == flag
    assert gates.refusals(GOOD | {figure: value}, P.quality) == []


def test_a_doubtful_offset_is_flagged_and_a_corrected_one_is_not():
    doubtful = GOOD | {"av_offset": 5, "av_left": 5, "av_moved": 0, "av_confidence": 0.01}
    assert gates.flags(doubtful, P.quality) == "apart" and gates.refusals(doubtful, P.quality) == []
    assert gates.flags(GOOD | {"av_offset": 5, "av_left": 1, "av_moved": 5}, P.quality) == "moved"


# ---- clips


def test_clean_clips_are_kept_where_they_are(tiny):
    rows = [row for row in index.read(paths.INDEX) if row["case"] == "clean"]
    assert rows and all(row["status"] == "kept" and row["av_moved"] == 0 for row in rows)
    assert all(row[gate.figure] is not None for row in rows for gate in gates.GATES)


def spoken(late):
    """A mouth that moves, and a hum in the vowels' band, `late` frames behind.  Shape: -> (T, 68, 2), (640 T,)"""
    mouth, levels = talk(late=late)
    points = np.zeros((len(mouth), 68, 2), np.float32)
    points[:, 36:42, 0], points[:, 42:48, 0] = 30, 70
    points[:, [65, 66, 67], 1] = 40 * mouth[:, None]
    hum = np.sin(2 * np.pi * 800 * np.arange(timing.num_samples(len(mouth))) / timing.SAMPLE_RATE_HZ)
    return points, (hum * np.repeat(levels**2, timing.SAMPLES_PER_FRAME)).astype(np.float32)


@pytest.mark.parametrize("late", [-7, -3, 3, 7])
def test_sound_that_is_off_is_moved_to_the_mouth(late):
    points, sound = spoken(late)
    moved, figures = gates.synchronised(sound, points, P.quality)
    assert abs(figures["av_moved"] - late) <= 1 and abs(figures["av_left"]) <= 1
    inner = slice(8 * 640, -8 * 640)
    assert np.array_equal(moved[inner], np.roll(sound, -figures["av_moved"] * 640)[inner])


def test_sound_that_is_right_or_doubtful_is_not_moved():
    for late in (-1, 0, 1):
        points, sound = spoken(late)
        moved, figures = gates.synchronised(sound, points, P.quality)
        assert moved is sound and figures["av_moved"] == 0
