"""Figures have known answers, gates refuse by name, and planted offsets are found with the right sign."""

import numpy as np
import pytest
from conftest import ROOT

from model import av_offset, head_mesh, loudness, timing
from model.motion import principal_shapes
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
    """Cues of a mouth that follows syllables, and of sound `late` frames behind it.  Shape: -> (T, C), (T, C)"""
    rng = np.random.default_rng(seed)
    num_cues = len(av_offset.WEIGHT_C)
    drive = rng.uniform(0, 1, (num_frames + 60, num_cues)) ** 3
    syllables = np.stack([np.convolve(of_T, np.hanning(6), "same") for of_T in drive.T], axis=1)[20:]
    mouth = syllables[12 : 12 + num_frames]
    return mouth + rng.normal(0, 0.2, mouth.shape), syllables[12 - late : 12 - late + num_frames] ** 0.5


# ---- figures


@pytest.mark.parametrize("late", range(-7, 8))
def test_a_planted_offset_is_found_with_its_sign(late):
    found, confidence = av_offset.offset(*talk(late=late))
    assert abs(found - late) <= 1 and confidence > P.quality.sync_confidence


def test_a_mouth_that_does_not_move_with_the_sound_has_no_confidence():
    confidences = [av_offset.offset(talk(seed=k)[0], talk(seed=k + 100)[1])[1] for k in range(20)]
    assert np.quantile(confidences, 0.95) < P.quality.sync_confidence


@pytest.mark.parametrize("num_frames", [1, 2, 8, 12, 40])
def test_a_mouth_or_a_sound_that_does_not_move_has_offset_zero(num_frames):
    mouth, sound = talk(num_frames)
    assert av_offset.offset(0 * mouth, sound) == av_offset.offset(mouth, 0 * sound) == (0, 0.0)


def meshes(num_frames=60):
    """The canonical head with a mouth that moves."""
    rng = np.random.default_rng(0)
    mesh = rng.normal(0, 1, (1, 468, 3)).repeat(num_frames, axis=0)
    mesh[:, list(head_mesh.RIGID)] = np.array(list(head_mesh.RIGID.values()))
    mesh[:, head_mesh.MOUTH] += rng.normal(0, 0.1, (num_frames, 1, 1)) * rng.normal(0, 1, (len(head_mesh.MOUTH), 3))
    return mesh


def test_cues_of_a_mouth_depend_neither_on_its_place_nor_on_frames_without_a_mesh():
    mesh = meshes()
    shapes = principal_shapes(np.random.default_rng(1).normal(0, 1, (50, len(head_mesh.MOUTH), 3)), 10)
    cues = av_offset.mouth_cues(mesh, shapes)
    np.testing.assert_allclose(av_offset.mouth_cues(40 * mesh + [200, 100, 0], shapes), cues, atol=1e-5)
    holes = mesh.copy()
    holes[10:12] = np.nan
    filled = av_offset.mouth_cues(holes, shapes)
    shift = (filled - cues)[20]  # the mean of fewer frames
    np.testing.assert_allclose(filled[12:], cues[12:] + shift, atol=1e-5)
    np.testing.assert_allclose(filled[[10, 11]], cues[[9, 12]] + shift, atol=1e-5)
    holes[: len(mesh) // 2] = np.nan
    assert not av_offset.mouth_cues(holes, shapes).any()


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
    mouth, sound = talk()
    other = talk(seed=9)[0]
    assert av_offset.speaking(np.stack([other, mouth]), sound) == 1
    assert av_offset.speaking(np.stack([mouth, 0 * mouth]), sound) == 0
    assert av_offset.speaking(np.stack([0 * mouth, 0 * mouth]), sound) == 0


def test_a_mouth_that_moves_further_but_follows_the_sound_less_is_not_the_speaker():
    mouth, sound = talk()
    for seed in (9, 10, 11):
        half_right = mouth + talk(seed=seed)[0]
        assert av_offset.speaking(np.stack([3 * half_right, mouth]), sound) == 1


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
