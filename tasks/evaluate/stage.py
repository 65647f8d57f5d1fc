"""Stage `evaluate`: how well the mouth follows the sound, on speakers the model never saw, beside what games a metric.

reads   models/*.safetensors, models/landmarks.dat, models/yaw.json, data/index.parquet, data/shards/*.tar,
        data/clips.parquet, data/raw
writes  reports/metrics.json, reports/plots/{clips,lag,offsets}.csv, reports/strips/*.png, reports/report.html

    python -m flows evaluate

The rows of the panel are in tasks.evaluate.conditions, the metrics in model.metrics, what is made of both in
model.metrics.verdict. Clips are
measured one by one; what is kept of each is its figures. The clips that the report shows are made a second time.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model import faces, mixtures
from model.metrics import registry, temporal
from model.params import EvaluateParams, Params
from tasks.core import csv_tables, files, paths
from tasks.core.files import write_atomic
from tasks.core.progress import progress
from tasks.evaluate import conditions, discriminator, lpips_fid, report, summary
from tasks.evaluate import measure as panel
from tasks.evaluate.measure import Meters, Record
from tasks.evaluate.published_syncnet import PublishedSyncNet
from tasks.evaluate.raw_clips import RawClips
from tasks.features import audio, yaw
from tasks.features.landmarks import Predictor
from tasks.inference import mouth_score
from tasks.inference.lip_sync import LipSync
from tasks.inference.sync_meter import SyncMeter
from tasks.loading.clips import Clips
from tasks.storage import index
from tasks.tracking import runs as tracking

FID_ROWS = ("right_audio", "copy_input")  # of whole sets of frames: one more row costs as much as the first


def run(p: Params) -> str:
    """Measure every row on every clip of the test split, and the generator's on each hard case."""
    sync, raw = LipSync(paths.GENERATOR), RawClips(paths.CLIPS, paths.RAW)
    meters = meters_of(p.evaluate)
    measured: list[Record] = []
    there = {row["split"] for row in index.kept(index.read(paths.INDEX))}
    for split in p.evaluate.splits:
        if split == "test" or split in there:  # only the embedded corpus has hard cases
            measured += measure(sync, split, meters, raw)
    clips = Clips(paths.INDEX, paths.SHARDS, "test")
    noise = list(under_noise(sync, clips, meters, raw, p.evaluate))
    found = summary.panel_of(measured, noise, p)
    if meters.fid:
        for row in FID_ROWS:
            found[row]["fid"] = meters.fid.of(row)
    found["discriminator"] = discriminator.accuracy(paths.DISCRIMINATORS, clips, p)
    found["about"] = {
        "version": registry.PANEL_VERSION,
        "checkpoint_md5": files.md5_file(paths.GENERATOR),
        "index_md5": files.md5_file(paths.INDEX),
        "step": sync.about["loop"]["step"],
        "clips": len(clips),
        "corpora": sync.about["lineage"]["corpora"],
    }
    step = sync.about["loop"]["step"]
    found = csv_tables.rounded(found)
    write_atomic(paths.METRICS, json.dumps(found, indent=2) + "\n")
    csv_tables.write_csv(paths.METRICS_BY_CLIP, summary.clip_rows(measured))
    csv_tables.write_csv(paths.LAG_CURVE, summary.lag_rows(measured, p.evaluate.max_lag))
    csv_tables.write_csv(paths.OFFSETS, summary.offset_rows(measured, p.evaluate.max_lag))
    strips = report.write(found, measured, sync, clips, raw, p.evaluate)
    with tracking.run("evaluate", p) as tracker:
        tracker.metrics(summary.flat(found), step)
        for file in (paths.METRICS, paths.METRICS_BY_CLIP, paths.LAG_CURVE, paths.OFFSETS, paths.REPORT):
            tracker.file(file, "reports")
        for name, picture_HW3 in strips.items():
            tracker.picture(name, picture_HW3, step)
    right, wrong = found["right_audio"], found["wrong_audio"]
    return (
        f"mouth opening against truth: correlation {right['aperture_corr']:.2f} with the right sound, "
        f"{wrong['aperture_corr']:.2f} with a wrong one, best lag {right['aperture_lag_frames']:+.0f} frames, on "
        f"{found['about']['clips']} clips of unseen speakers; {found['verdict']['sentence']}"
    )


def meters_of(p: EvaluateParams) -> Meters:
    """Everything that can be measured here.  Errors: UserError where weights are named that are not there"""
    named = p.weights
    return Meters(
        predictor=Predictor(paths.LANDMARKS),
        max_lag=p.max_lag,
        yaw_weights=yaw.load(paths.YAW),
        expert=SyncMeter(),
        syncnet=PublishedSyncNet(Path(named.syncnet)) if named.syncnet else None,
        lpips=lpips_fid.lpips(Path(named.lpips)) if named.lpips else None,
        fid=lpips_fid.Fid(Path(named.inception)) if named.inception else None,
    )


def measure(sync: LipSync, split: str, meters: Meters, raw: RawClips | None = None) -> Iterator[Record]:
    """One record for each clip and row; all rows on the test split, the generator's and the true one on others."""
    clips = Clips(paths.INDEX, paths.SHARDS, split)
    shown_rows = tuple(conditions.ROWS) if split == "test" else ("right_audio", "real_video")
    for number in progress(range(len(clips)), f"evaluating {split}", "clip"):
        yield from of_clip(sync, clips, number, shown_rows, meters, raw)


def of_clip(
    sync: LipSync, clips: Clips, number: int, shown_rows: tuple[str, ...], meters: Meters, raw: RawClips | None
) -> Iterator[Record]:
    clip, key = clips[number], clips.keys[number]
    to = panel.reference(clip, key, meters, raw)
    shown = conditions.fill(sync, clips, number, shown_rows)
    about: Record = {"split": clips.rows[number]["split"], "case": clips.rows[number]["case"], "clip": key}
    for row in shown_rows:
        if meters.fid and about["split"] == "test" and row in (*FID_ROWS, "real_video"):
            meters.fid.add(row, shown[row])
        record = about | panel.measure(row, shown[row], to, meters)
        if row == "wrong_audio":
            other = clips[conditions.other_clip(clips, number)]
            other_T = np.array(other.truth["aperture"]) if other.truth else faces.aperture(other.landmarks_T682)
            said_T = conditions.tiled(other_T, len(record["opening"]))
            record["follows_its_sound"] = float(temporal.lag_curve(record["opening"], said_T, 0)[0])
        yield record


def under_noise(sync: LipSync, clips: Clips, meters: Meters, raw: RawClips, p: EvaluateParams) -> Iterator[Record]:
    """The generator with music and noise under the sound, on the first clips: how far the mouth still follows."""
    num = min(p.noise_clips, len(clips))
    for number in progress(range(num), "evaluating under noise", "clip"):
        clip, key = clips[number], clips.keys[number]
        num_frames = len(clip.faces_TSS3)
        filmed, voice = mouth_score.filmed_mouth(clip, meters.predictor), raw.sound(key)
        for kind in mixtures.KINDS:
            for snr_db in p.noise_snr_db:
                mfcc_FW = audio.mfcc(mixtures.mix_at_snr(voice, kind, snr_db, key), num_frames)
                made_TSS3 = mouth_score.generate_clip(sync, clip, mfcc_FW)
                score = mouth_score.score(made_TSS3, filmed, meters.predictor, meters.max_lag)
                yield {
                    "kind": kind,
                    "snr_db": snr_db,
                    "clip": key,
                    "aperture_corr": score.corr,
                    "amplitude_ratio": score.amplitude_ratio,
                }


def by_clip(checkpoint: Path, max_lag: int) -> list[Record]:
    """The generator's figures on the test clips with the right sound, for comparing checkpoints."""
    sync, meters = LipSync(checkpoint), Meters(Predictor(paths.LANDMARKS), max_lag)
    clips = Clips(paths.INDEX, paths.SHARDS, "test")
    told = progress(range(len(clips)), f"evaluating {checkpoint.name}", "clip")
    return [record for number in told for record in of_clip(sync, clips, number, ("right_audio",), meters, None)]
