"""The panel: its rows are what they say, and it tells a mouth that follows the sound from what games a metric."""

import json
from pathlib import Path

import numpy as np
import pytest

from tasks import config, evaluate, inference, paths
from tasks.loader import Clips


@pytest.fixture
def p(trained):
    return config.load(Path("params.yaml"))


@pytest.fixture
def panel(p):
    evaluate.run(p)
    return json.loads(paths.METRICS.read_text())


def test_the_panel_has_the_rows_and_metrics_that_people_rely_on(panel):
    rows = {"right_audio", "wrong_audio", "silence", "copy_input", "frozen_mouth", "real_video"}
    metrics = {"aperture_corr", "aperture_best_corr", "aperture_lag_frames", "amplitude_ratio"}
    metrics |= {"l1", "mouth_l1", "psnr", "ssim"}
    assert rows <= set(panel)
    for row in rows:
        assert metrics | {f"{name}_ci" for name in metrics} <= set(panel[row])
        assert all(len(panel[row][f"{name}_ci"]) == 2 for name in metrics)
    assert 0 <= panel["discriminator"]["accuracy"] <= 1 and panel["discriminator"]["pairs"] == 40


def test_real_video_and_the_two_still_mouths_have_their_known_values(panel):
    real, copied = panel["real_video"], panel["copy_input"]
    assert (real["l1"], real["mouth_l1"], real["psnr"], real["ssim"]) == (0, 0, 100, 1)
    assert real["amplitude_ratio"] == 1 and real["aperture_lag_frames"] == 0
    assert (copied["aperture_corr"], copied["amplitude_ratio"]) == (0, 0)
    assert panel["frozen_mouth"]["psnr"] > copied["psnr"]  # only the mouth is wrong


def test_two_evaluations_write_the_same_bytes(p):
    files = (paths.METRICS, paths.METRICS_BY_CLIP, paths.LAG_CURVE, paths.REPORT)
    evaluate.run(p)
    before = [file.read_bytes() for file in files]
    evaluate.run(p)
    assert [file.read_bytes() for file in files] == before


def test_rows_are_filled_as_they_are_described(p):
    sync, clips = inference.LipSync(paths.GENERATOR), Clips(paths.INDEX, paths.SHARDS, "train")
    shown = evaluate.fill(sync, clips, 0)
    faces_TSS3 = clips[0].faces_TSS3
    assert (shown["real_video"] == faces_TSS3).all()
    assert (shown["copy_input"] == shown["identity"]).all()
    assert (shown["frozen_mouth"][:, :48] == faces_TSS3[:, :48]).all()
    assert (shown["frozen_mouth"][:, 48:] == shown["identity"][:, 48:]).all()
    assert all(shown[row].shape == faces_TSS3.shape for row in evaluate.ROWS)


def test_the_wrong_sound_is_never_of_the_same_video(p):
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    for number in range(len(clips)):
        other = evaluate.other_clip(clips, number)
        assert clips.rows[other]["video"] != clips.rows[number]["video"]


def test_ssim_has_its_known_answers():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (2, 96, 96, 3), dtype=np.uint8)
    assert evaluate.ssim(picture, picture) == pytest.approx(1)
    assert abs(evaluate.ssim(picture, rng.integers(0, 255, picture.shape, dtype=np.uint8))) < 0.05
    assert evaluate.ssim(picture, 255 - picture) < -0.8


def test_the_report_stands_alone_and_shows_the_figures(panel):
    page = paths.REPORT.read_text()
    assert "http" not in page.replace("http-equiv", "") and 'src="data:image/png;base64,' in page
    assert f"{panel['right_audio']['aperture_corr']:.2f}" in page
    assert len(list(paths.STRIPS.glob("*.png"))) == 1
