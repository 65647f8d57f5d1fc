"""The evaluation: its conditions, metrics, comparison of checkpoints and report."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import commit, git, inside

from model import mixtures
from tasks.core import config, files, paths
from tasks.core.errors import UserError
from tasks.evaluate import compare, compare_checkpoints, conditions, last_commit
from tasks.evaluate import stage as evaluate
from tasks.evaluate.measure import ssim
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.evaluate.raw_clips import RawClips
from tasks.inference import lip_sync
from tasks.loading.clips import Clips


@pytest.fixture
def p(trained):
    return config.load(Path("params.yaml"))


@pytest.fixture(scope="module")
def evaluated(trained_folder, tmp_path_factory):
    """The tiny project after one evaluation. Read it, do not write to it."""
    folder = shutil.copytree(trained_folder, tmp_path_factory.mktemp("evaluated") / "p", symlinks=True)
    with inside(folder):
        evaluate.run(config.load(paths.PARAMS))
    return folder


@pytest.fixture
def panel(evaluated, monkeypatch):
    monkeypatch.chdir(evaluated)
    return json.loads(paths.METRICS.read_text())


def test_the_panel_has_the_documented_conditions_and_metrics(panel):
    names = {"right_audio", "wrong_audio", "moved_audio", "silence", "copy_input", "frozen_mouth", "real_video"}
    metrics = {"aperture_corr", "aperture_best_corr", "aperture_lag_frames", "amplitude_ratio"}
    metrics |= {"l1", "mouth_l1", "psnr", "ssim", "expert_in_sync", "expert_lag_frames", "event_f1", "lmd"}
    assert names | set(conditions.ROWS) <= set(panel)
    for row in names:
        assert metrics | {f"{name}_ci" for name in metrics} <= set(panel[row])
        assert all(len(panel[row][f"{name}_ci"]) == 2 for name in metrics)
    assert {"follows_its_sound", "follows_the_pose", "moves_in_silence"} <= set(panel["leakage"])
    assert {"music_0_db", "noise_0_db", "yaw_0_15", "hard_music"} <= set(panel)
    assert panel["verdict"]["ranking"][0] == "real_video"
    assert 0 <= panel["discriminator"]["accuracy"] <= 1 and panel["discriminator"]["pairs"] == 40


def test_real_video_and_the_two_still_mouths_have_their_known_values(panel):
    real, copied = panel["real_video"], panel["copy_input"]
    assert (real["l1"], real["mouth_l1"], real["psnr"], real["ssim"]) == (0, 0, 100, 1)
    assert real["amplitude_ratio"] == 1 and real["aperture_lag_frames"] == 0
    assert (copied["aperture_corr"], copied["amplitude_ratio"]) == (0, 0)
    assert panel["frozen_mouth"]["psnr"] > copied["psnr"]  # only the mouth is wrong


def test_two_evaluations_write_the_same_bytes(p, evaluated):
    evaluate.run(p)
    for file in (paths.METRICS, paths.METRICS_BY_CLIP, paths.LAG_CURVE, paths.OFFSETS, paths.REPORT):
        assert file.read_bytes() == (evaluated / file).read_bytes(), file


def test_the_headline_is_twelve_figures_of_the_panel_that_dvc_can_print(panel):
    headline = json.loads(paths.HEADLINE.read_text())
    figures = {f"{generator}.{name}": value for generator, of in headline.items() for name, value in of.items()}
    assert len(figures) == 12 and all(isinstance(value, int | float) for value in figures.values())
    assert not [name for name in figures if "error" in name]  # DVC prints such a key as a failure
    assert figures["mesh.correlation"] == panel["mesh_right_audio"]["aperture_corr"]
    assert figures["lipgan.wrong_correlation"] == panel["wrong_audio"]["aperture_corr"]
    assert figures["lipgan.failed_checks"] == len(panel["verdict"]["failed"]["right_audio"])


def test_a_repetition_of_the_committed_training_is_shown_and_not_judged(evaluated, tmp_path, monkeypatch):
    shutil.copytree(evaluated / "reports", tmp_path / "reports")
    shutil.copy(evaluated / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    about = json.loads((evaluated / paths.GENERATOR.with_suffix(".json")).read_text())
    records = list(csv.DictReader(paths.METRICS_BY_CLIP.open()))
    git("init", "-q")
    commit("as evaluated")
    assert last_commit.sentence(records, about) == "The last commit has the same figures, clip by clip."
    for record in records:
        record["mouth_l1"] = float(record["mouth_l1"]) + 0.1
    record = json.loads(paths.TRAIN_RECORD.read_text())
    paths.TRAIN_RECORD.write_text(json.dumps(record | {"machine": record["machine"] | {"cpu": "Z80"}}))
    said = last_commit.sentence(records, about)
    assert "the same data and parameters on another processor" in said and "this one: Z80" in said
    assert "mouth L1 " in said and "worse" not in said
    about["params"]["train"]["lr"] *= 2
    assert last_commit.sentence(records, about).startswith("Against the last commit: ")


def test_both_generators_have_a_verdict_and_reconstruct_halves_of_clips(panel):
    assert {"sentence", "mesh_sentence", "rank_of_right_audio", "rank_of_mesh_right_audio"} <= set(panel["verdict"])
    assert panel["about"]["motion_md5"] == files.md5_file(paths.MOTION)
    assert panel["about"]["inside_md5"] == files.md5_file(paths.INSIDE)
    for generator in ("lipgan", "mesh"):
        half = panel[f"half_clip_{generator}"]
        assert 15 < half["psnr"] < 60 and 0.3 < half["ssim"] < 1 and half["num_clips"] == panel["about"]["clips"]
    assert set(panel["mesh_leakage"]) == set(panel["leakage"])


def test_conditions_are_filled_as_described(p):
    sync, clips = lip_sync.LipSync(paths.GENERATOR), Clips(paths.INDEX, paths.SHARDS, "train")
    mesh = MeshGenerator(paths.MOTION, paths.INSIDE, clips, RawClips(paths.CLIPS, paths.RAW))
    frames = conditions.fill(sync, clips, 0, mesh=mesh)
    faces_TSS3 = clips[0].faces_TSS3
    assert (frames["real_video"] == faces_TSS3).all()
    assert (frames["copy_input"] == frames["identity"]).all()
    assert (frames["frozen_mouth"][:, :48] == faces_TSS3[:, :48]).all()
    assert (frames["frozen_mouth"][:, 48:] == frames["identity"][:, 48:]).all()
    assert all(frames[row].shape == faces_TSS3.shape for row in conditions.ROWS)


def test_the_wrong_sound_is_never_of_the_same_video(p):
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    for number in range(len(clips)):
        other = conditions.other_clip(clips, number)
        assert clips.rows[other]["video"] != clips.rows[number]["video"]


def test_a_moved_sound_is_the_clips_own_a_third_to_two_thirds_later():
    mfcc_FW = np.tile(np.arange(4 * 75, dtype=np.float32), (12, 1))
    moves = set()
    for key in map(str, range(300)):
        moved_FW = conditions.moved_sound(mfcc_FW, key)
        assert (moved_FW == conditions.moved_sound(mfcc_FW, key)).all()
        frames = int(np.flatnonzero(moved_FW[0] == 0)[0]) // 4
        assert (moved_FW == np.roll(mfcc_FW, 4 * frames, axis=1)).all()
        moves.add(frames)
    assert moves == set(range(25, 51))


def test_ssim_has_its_known_answers():
    rng, box = np.random.default_rng(0), np.array([[30, 60, 66, 84]] * 2)
    picture = rng.integers(0, 255, (2, 96, 96, 3), dtype=np.uint8)
    other = rng.integers(0, 255, picture.shape, dtype=np.uint8)
    assert ssim(picture, picture, box) == {"ssim": 1, "mouth_ssim": 1, "outside_ssim": 1}
    assert abs(ssim(picture, other, box)["ssim"]) < 0.05
    assert ssim(picture, 255 - picture, box)["ssim"] < -0.8
    mouth = picture.copy()
    mouth[:, 60:84, 30:66] = other[:, 60:84, 30:66]
    of_mouth = ssim(mouth, picture, box)
    assert of_mouth["mouth_ssim"] < 0.35 and of_mouth["outside_ssim"] > 0.95


@pytest.mark.parametrize("kind", mixtures.KINDS)
@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_the_background_has_the_power_of_its_snr(kind, snr_db):
    voice = 0.1 * np.sin(np.arange(32_000) / 7)
    mixed = mixtures.mix_at_snr(voice, kind, snr_db, "clip").astype(np.float64)
    scale = (mixed @ voice) / (voice @ voice)  # undoes the scaling; the two are nearly uncorrelated
    other = mixed / scale - voice
    assert 10 * np.log10(np.mean(voice**2) / np.mean(other**2)) == pytest.approx(snr_db, abs=0.6)
    assert np.abs(mixed).max() <= 1
    assert (mixtures.mix_at_snr(voice, kind, snr_db, "clip") == mixed.astype(np.float32)).all()


def test_two_checkpoints_are_compared_on_the_same_clips(p):
    pairs = compare_checkpoints.checkpoints(paths.GENERATOR, paths.GENERATOR, p)
    assert {pair.metric for pair in pairs} >= set(compare.HEADLINE)
    assert all(pair.difference == 0 and pair.verdict == "cannot tell" for pair in pairs)
    with pytest.raises(UserError, match="no such checkpoint"):
        compare_checkpoints.checkpoints(paths.GENERATOR, Path("models/none.safetensors"), p)


def test_the_report_is_self_contained_and_shows_the_figures(panel):
    page = paths.REPORT.read_text()
    assert "http" not in page and 'src="data:image/png;base64,' in page and 'src="data:video/mp4;base64,' in page
    assert f"{panel['right_audio']['aperture_corr']:.2f}" in page
    assert f"of\n{panel['about']['people']}. Data: MIT" in page and panel["about"]["people"] == "unseen speakers"
    assert f"<b>{panel['moved_audio']['aperture_corr']:.2f}</b> by its own at another" in page
    assert len(list(paths.STRIPS.glob("*.png"))) == 1
    assert "There is no evaluation in the last commit to compare it with" in page  # no commit here
    for name in conditions.ROWS:
        assert conditions.ROWS[name] in page
