"""Stage `evaluate`: how well the mouth follows the sound, on speakers the model never saw, beside what games a metric.

reads   models/*.safetensors, models/landmarks.dat, data/index.parquet, data/shards/*.tar
writes  reports/metrics.json, reports/plots/clips.csv, reports/plots/lag.csv, reports/strips/*.png, reports/report.html

    python -m flows evaluate

Rows of the panel; each is a way to fill the frames of a clip
    right_audio    the generator with the clip's own sound
    wrong_audio    with the sound of another clip: what the mouth does without listening
    silence        with digital silence
    copy_input     the identity frame, unchanged, in every frame
    frozen_mouth   the true frames with the identity frame's lower half
    real_video     the true frames
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from skimage.metrics import structural_similarity

from model import faces, metrics, metrics_picture, metrics_time, seeds
from model.discriminator import SyncDiscriminator
from model.params import Params
from model.samples import pictures
from tasks import checkpoints, features, index, inference, loader, paths, report, tables, tracking, units
from tasks.inference import LipSync
from tasks.landmarks import Predictor
from tasks.loader import Clips
from tasks.progress import progress
from tasks.shards import Clip
from tasks.stage import write_atomic

EVALUATE_VERSION = 1  # raise it when a metric's meaning changes
ROWS = ("right_audio", "wrong_audio", "silence", "copy_input", "frozen_mouth", "real_video")


def run(p: Params) -> str:
    """Measure every row on every clip of the test split, and the generator's on each hard case."""
    sync = LipSync(paths.GENERATOR)
    predictor = Predictor(paths.LANDMARKS)
    measured: list[dict[str, Any]] = []
    pictures_of: dict[str, dict[str, np.ndarray]] = {}
    there = {row["split"] for row in index.kept(index.read(paths.INDEX))}
    for split in p.evaluate.splits:
        if split != "test" and split not in there:
            continue  # only the embedded corpus has hard cases
        clips = Clips(paths.INDEX, paths.SHARDS, split)
        for number in progress(range(len(clips)), f"evaluating {split}", "clip"):
            rows = ROWS if split == "test" else ("right_audio", "real_video")
            shown = fill(sync, clips, number, rows)
            measured += measure(clips, number, shown, predictor, split, p)
            if split == "test" and len(pictures_of) < p.evaluate.strips:
                pictures_of[clips.keys[number]] = shown
    panel = summarise(measured, p)
    panel["discriminator"] = discriminator_accuracy(Clips(paths.INDEX, paths.SHARDS, "test"), p)
    panel["about"] = {
        "version": EVALUATE_VERSION,
        "checkpoint_md5": units.md5_file(paths.GENERATOR),
        "index_md5": units.md5_file(paths.INDEX),
        "step": sync.about["loop"]["step"],
        "clips": len({row["clip"] for row in measured if row["split"] == "test"}),
    }
    write_outs(panel, measured, pictures_of, p)
    with tracking.run("evaluate", p) as tracker:
        tracker.metrics(flat(panel), sync.about["loop"]["step"])
        for file in (paths.METRICS, paths.METRICS_BY_CLIP, paths.LAG_CURVE, paths.REPORT):
            tracker.file(file, "reports")
        for name, picture in pictures_of.items():
            tracker.picture(name.replace("/", "-"), report.strip(picture), sync.about["loop"]["step"])
    right, wrong = panel["right_audio"], panel["wrong_audio"]
    return (
        f"mouth opening against truth: correlation {right['aperture_corr']:.2f} with the right sound, "
        f"{wrong['aperture_corr']:.2f} with a wrong one, best lag {right['aperture_lag_frames']:+.0f} frames, on "
        f"{panel['about']['clips']} clips of unseen speakers"
    )


def fill(sync: LipSync, clips: Clips, number: int, rows: Sequence[str] = ROWS) -> dict[str, np.ndarray]:
    """The faces of each row for one clip, and `identity`.  Shape: (T, S, S, 3) uint8 each"""
    clip = clips[number]
    num_frames, size = clip.faces_TSS3.shape[:2]
    identity_SS3 = clip.faces_TSS3[inference.identity_frame(clip.found_T)]

    def say(mfcc_FW: np.ndarray) -> np.ndarray:
        return sync.generate(identity_SS3, clip.faces_TSS3, inference.windows(mfcc_FW, np.arange(num_frames)))

    def wrong() -> np.ndarray:
        other_FW = clips[other_clip(clips, number)].mfcc_FW
        return say(other_FW[:, np.arange(clip.mfcc_FW.shape[1]) % other_FW.shape[1]])

    def frozen() -> np.ndarray:
        still = clip.faces_TSS3.copy()
        still[:, size // 2 :] = identity_SS3[size // 2 :]
        return still

    ways = {
        "right_audio": lambda: say(clip.mfcc_FW),
        "wrong_audio": wrong,
        "silence": lambda: say(silence(num_frames)),
        "copy_input": lambda: np.repeat(identity_SS3[None], num_frames, axis=0),
        "frozen_mouth": frozen,
        "real_video": lambda: clip.faces_TSS3,
    }
    return {row: ways[row]() for row in rows} | {"identity": identity_SS3[None]}


def silence(num_frames: int) -> np.ndarray:
    """MFCCs of digital silence.  Shape: -> (12, 4 num_frames) float32"""
    return features.mfcc(np.zeros(0, np.float32), num_frames)


def other_clip(clips: Clips, number: int) -> int:
    """The next clip of another video: the same at every run; the next clip at all where there is one video."""
    others = [(number + k) % len(clips) for k in range(1, len(clips))]
    video = clips.rows[number]["video"]
    return next((k for k in others if clips.rows[k]["video"] != video), others[0] if others else number)


def measure(
    clips: Clips, number: int, shown: dict[str, np.ndarray], predictor: Predictor, split: str, p: Params
) -> list[dict[str, Any]]:
    """One record a row of the panel: the clip's figures, and its correlation at every lag."""
    clip = clips[number]
    mouth_T4 = faces.mouth_boxes(clip.landmarks_T682, clip.faces_TSS3.shape[1])
    truth_T, real_T = true_aperture(clip), faces.aperture(predictor(clip.faces_TSS3))
    records = []
    for row in (row for row in ROWS if row in shown):
        made = shown[row]
        measured_T = real_T if row == "real_video" else faces.aperture(predictor(made))
        score = metrics_time.aperture_scores(measured_T, truth_T, max_lag=p.evaluate.max_lag, reference_T=real_T)
        records.append(
            {
                "split": split,
                "case": clips.rows[number]["case"],
                "clip": clips.keys[number],
                "row": row,
                "frames": len(made),
                "l1": metrics_picture.l1(made, clip.faces_TSS3),
                "mouth_l1": metrics_picture.mouth_l1(made, clip.faces_TSS3, mouth_T4),
                "psnr": metrics_picture.psnr(made, clip.faces_TSS3),
                "ssim": ssim(made, clip.faces_TSS3),
                "aperture_corr": score.corr,
                "aperture_best_corr": score.best_corr,
                "aperture_lag_frames": score.lag_frames,
                "amplitude_ratio": score.amplitude_ratio,
                "lags": metrics_time.lag_curve(measured_T, truth_T, p.evaluate.max_lag),
            }
        )
    return records


def true_aperture(clip: Clip) -> np.ndarray:
    """The true mouth opening where the corpus knows it, otherwise as measured on the true pictures.  Shape: (T,)"""
    if clip.truth:
        return np.array(clip.truth["aperture"])
    return faces.aperture(clip.landmarks_T682)


def ssim(a_TSS3: np.ndarray, b_TSS3: np.ndarray) -> float:
    """Structural similarity, mean over frames; 1 is equal, higher is better. Rewards a copy of the input.

    Source: Wang et al. 2004, as scikit-image computes it (7 x 7 uniform window), on RGB.
    """
    values = [structural_similarity(a, b, channel_axis=-1, data_range=255) for a, b in zip(a_TSS3, b_TSS3, strict=True)]
    return float(np.mean(values))


METRICS = (
    "l1",
    "mouth_l1",
    "psnr",
    "ssim",
    "aperture_corr",
    "aperture_best_corr",
    "aperture_lag_frames",
    "amplitude_ratio",
)


def summarise(measured: list[dict[str, Any]], p: Params) -> dict[str, Any]:
    """Row -> metric -> mean over clips (lag: median), with intervals by bootstrap over clips."""
    panel: dict[str, Any] = {}
    tested = [record for record in measured if record["split"] == "test"]
    for row in ROWS:
        panel[row] = _summary([r for r in tested if r["row"] == row], p)
    gain = np.array(_column(tested, "right_audio")) - np.array(_column(tested, "wrong_audio"))
    mean, low, high = metrics.bootstrap(gain, seeds.derive(p.seed, "bootstrap"), p.evaluate.num_bootstrap)
    panel["right_minus_wrong"] = {"aperture_corr": mean, "aperture_corr_ci": [low, high]}
    for case in sorted({r["case"] for r in measured if r["split"] == "hard"}):
        hard = [r for r in measured if r["split"] == "hard" and r["case"] == case and r["row"] == "right_audio"]
        panel[f"hard_{case}"] = _summary(hard, p)
    return panel


def _column(records: list[dict[str, Any]], row: str) -> list[float]:
    return [record["aperture_corr"] for record in records if record["row"] == row]


def _summary(records: list[dict[str, Any]], p: Params) -> dict[str, Any]:
    per_clip = [{name: record[name] for name in METRICS} for record in records]
    return metrics.summarise(per_clip, seed=seeds.derive(p.seed, "bootstrap"), num=p.evaluate.num_bootstrap)


def discriminator_accuracy(clips: Clips, p: Params) -> dict[str, float]:
    """The sync discriminator on random faces, half with the right and half with the wrong sound.

    accuracy        share told right by distance below half the margin (chance 0.5; LipGAN's authors measured 0.63)
    accuracy_2afc   share of faces nearer to their right sound than to the wrong one (chance 0.5)
    """
    weights, about = checkpoints.load(paths.DISCRIMINATORS)
    network = SyncDiscriminator(about["params"]["model"]["width"], about["params"]["faces"]["size"])
    inference.load_weights(network, weights, paths.DISCRIMINATORS)
    network.eval()
    t, num = p.train, p.evaluate.num_pairs
    draws = clips.draw(t, seed=p.seed, epoch="pairs", per_clip=-(-num // len(clips)), flip=False)
    right, wrong = [], []
    with torch.inference_mode():
        for start in range(0, num, 100):
            batch = loader.batch_of(clips, draws.rows(start, min(start + 100, num)))
            face_B3SS = pictures(batch.target_BSS3)
            right.append(network(face_B3SS, batch.mfcc_BFW))
            wrong.append(network(face_B3SS, batch.negative_BFW))
    scores = metrics_time.sync_accuracy(torch.cat(right).numpy(), torch.cat(wrong).numpy(), threshold=t.margin / 2)
    return {"accuracy": scores.accuracy, "accuracy_2afc": scores.two_afc, "pairs": 2 * num}


def write_outs(
    panel: dict[str, Any], measured: list[dict[str, Any]], pictures_of: dict[str, dict[str, np.ndarray]], p: Params
) -> None:
    write_atomic(paths.METRICS, json.dumps(tables.rounded(panel), indent=2) + "\n")
    tables.write_csv(paths.METRICS_BY_CLIP, [{k: v for k, v in r.items() if k != "lags"} for r in measured])
    tables.write_csv(paths.LAG_CURVE, lag_rows(measured, p.evaluate.max_lag))
    report.write(tables.rounded(panel), lag_rows(measured, p.evaluate.max_lag), pictures_of)


def lag_rows(measured: Iterable[dict[str, Any]], max_lag: int) -> list[dict[str, Any]]:
    """Mean correlation over the test clips at each lag, for `dvc plots`: the peak's place is the delay."""
    tested = [r for r in measured if r["split"] == "test"]
    return [
        {
            "row": row,
            "lag_frames": lag,
            "aperture_corr": float(np.mean([r["lags"][k] for r in tested if r["row"] == row])),
        }
        for row in ROWS
        for k, lag in enumerate(range(-max_lag, max_lag + 1))
    ]


def flat(panel: dict[str, Any]) -> dict[str, float]:
    return {
        f"{row}.{name}": value
        for row, figures in panel.items()
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
