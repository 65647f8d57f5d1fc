"""Stage `evaluate`: how well the mouth follows the sound, on held-out clips, next to controls that must fail a check.

reads   models/*.safetensors (LipGAN, the sync expert, the networks of motion and inside), released/lips.safetensors,
        data/index.parquet, data/shards/*.tar, data/clips.parquet, data/raw
writes  reports/metrics.json (the panel), reports/headline.json (12 figures of it, which DVC tracks as metrics),
        reports/plots/{clips,lag,offsets}.csv, reports/strips/*.png, reports/report.html

    python -m flows evaluate

The panel has a row per condition (tasks.evaluate.conditions) and a column per metric (model.metrics);
model.metrics.verdict combines them. Clips are measured one by one and only their figures are kept: the few clips that
the report shows are chosen by rank in the end and generated a second time.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model import faces, mixtures
from model.metrics import registry, temporal
from model.params import EvaluateParams, Params
from tasks.core import config, csv_tables, files, paths
from tasks.core.files import write_atomic
from tasks.core.progress import progress
from tasks.evaluate import conditions, discriminator, half_clip, lpips_fid, report, said, summary, tracked
from tasks.evaluate.measure import Meters, Record, measure, reference_of
from tasks.evaluate.mesh_generator import MeshGenerator
from tasks.evaluate.published_syncnet import PublishedSyncNet
from tasks.evaluate.raw_clips import RawClips
from tasks.features import audio
from tasks.features.mesh_points import MeshPoints
from tasks.inference import mouth_score
from tasks.inference.lip_sync import LipSync
from tasks.inference.sync_meter import SyncMeter
from tasks.loading.clips import Clips
from tasks.storage import index
from tasks.tracking import runs as tracking

FID_ROWS = ("right_audio", "mesh_right_audio", "copy_input")  # expensive: FID is of whole sets of frames


def run(p: Params) -> str:
    """Measure every condition on every test clip, and LipGAN on each hard case; returns a summary line."""
    sync, raw = LipSync(paths.GENERATOR), RawClips(paths.CLIPS, paths.RAW)
    clips = Clips(paths.INDEX, paths.SHARDS, "test")
    mesh = MeshGenerator(paths.MOTION, paths.INSIDE, clips, raw)
    meters = meters_of(p.evaluate)
    records: list[Record] = []
    rows = index.kept(index.rows(paths.INDEX, ["split", "person", "video"]))
    splits = {*rows.column("split")}
    for split in p.evaluate.splits:
        if split == "test" or split in splits:  # only the embedded corpus has hard cases
            records += measure_split(sync, split, meters, raw, mesh)
    halves = [
        record
        for number in progress(range(len(clips)), "evaluating halves", "clip")
        for record in half_clip.measured(sync, mesh, clips, number)
    ]
    noise = list(measure_noise(sync, clips, meters, raw, p.evaluate))
    panel = summary.panel_of(records, noise, halves, p)
    if meters.fid:
        for row in FID_ROWS:
            panel[row]["fid"] = meters.fid.of(row)
    panel["discriminator"] = discriminator.accuracy(paths.DISCRIMINATORS, clips, p)
    panel["about"] = {
        "version": registry.PANEL_VERSION,
        "checkpoint_md5": files.md5_file(paths.GENERATOR),
        "motion_md5": files.md5_file(paths.MOTION),
        "inside_md5": files.md5_file(paths.INSIDE),
        "mesh_library": mesh.describe(),
        "index_md5": files.md5_file(paths.INDEX),
        "step": sync.about["loop"]["step"],
        "sounds": said.how(any(clips[k].truth for k in range(len(clips))), bool(panel["visemes"])),
        "clips": len(clips),
        "corpora": sync.about["lineage"]["corpora"],
        "people": index.tested_people(rows),
        "licences": sync.about["lineage"]["licences"],
    }
    step = sync.about["loop"]["step"]
    panel = csv_tables.rounded(panel)
    write_atomic(paths.METRICS, json.dumps(panel, indent=2) + "\n")
    write_atomic(paths.HEADLINE, json.dumps(summary.headline(panel), indent=2) + "\n")
    csv_tables.write_csv(paths.METRICS_BY_CLIP, summary.clip_rows(records))
    csv_tables.write_csv(paths.LAG_CURVE, summary.lag_rows(records, p.evaluate.max_lag))
    csv_tables.write_csv(paths.OFFSETS, summary.offset_rows(records, p.evaluate.max_lag))
    strips = report.write(panel, records, sync, mesh, p.evaluate)
    with tracking.run("evaluate", p) as tracker:
        tracker.metrics(tracked.figures(panel), step)
        for file in (paths.METRICS, paths.METRICS_BY_CLIP, paths.LAG_CURVE, paths.OFFSETS, paths.REPORT):
            tracker.file(file, "reports")
        tracker.text(csv_tables.csv_text(tracked.table(panel)), "reports/panel.csv")
        for name, picture_HW3 in strips.items():
            tracker.picture(name, picture_HW3, step)
        tracker.tag(
            {"dvc.generator.md5": panel["about"]["checkpoint_md5"], "dvc.motion.md5": panel["about"]["motion_md5"]}
        )
        headline = config.flat(summary.headline(panel))
        tracker.conclude(tracked.note(panel), headline, panel["about"]["checkpoint_md5"])
    names = ("right_audio", "wrong_audio", "moved_audio", "about")
    right, wrong, moved, about = (panel[name] for name in names)
    by_mesh = panel["mesh_right_audio"]
    return (
        f"mouth opening against truth: correlation {right['aperture_corr']:.2f} with the right sound, "
        f"{wrong['aperture_corr']:.2f} with another clip's, {moved['aperture_corr']:.2f} with its own moved, "
        f"best lag {registry.lag_text(right['aperture_lag_frames'])}, on "
        f"{about['clips']} clips of {about['people']}; LipGAN's mouth {panel['verdict']['sentence']}. "
        f"Mesh generator: correlation {by_mesh['aperture_corr']:.2f}, its mouth {panel['verdict']['mesh_sentence']}"
    )


def meters_of(p: EvaluateParams) -> Meters:
    """The measuring networks that are available.  Errors: UserError if named weights are missing"""
    weights = p.weights
    return Meters(
        predictor=MeshPoints(),
        max_lag=p.max_lag,
        expert=SyncMeter(),
        syncnet=PublishedSyncNet(Path(weights.syncnet)) if weights.syncnet else None,
        lpips=lpips_fid.lpips(Path(weights.lpips)) if weights.lpips else None,
        fid=lpips_fid.Fid(Path(weights.inception)) if weights.inception else None,
    )


def measure_split(sync: LipSync, split: str, meters: Meters, raw: RawClips, mesh: MeshGenerator) -> Iterator[Record]:
    """One record per clip and condition: all conditions on split test, LipGAN and real video on others."""
    clips = mesh.clips if split == "test" else Clips(paths.INDEX, paths.SHARDS, split)
    rows = tuple(conditions.ROWS) if split == "test" else ("right_audio", "real_video")
    for number in progress(range(len(clips)), f"evaluating {split}", "clip"):
        yield from measure_clip(sync, clips, number, rows, meters, raw, mesh)


def measure_clip(
    sync: LipSync, clips: Clips, number: int, rows: tuple[str, ...], meters: Meters, raw: RawClips | None,
    mesh: MeshGenerator | None = None,
) -> Iterator[Record]:  # fmt: skip
    clip, key = clips[number], clips.keys[number]
    reference = reference_of(clip, key, meters, raw)
    frames = conditions.fill(sync, clips, number, rows, mesh)
    about: Record = {"split": clips.rows[number]["split"], "case": clips.rows[number]["case"], "clip": key}
    for row in rows:
        if meters.fid and about["split"] == "test" and row in (*FID_ROWS, "real_video"):
            meters.fid.add(row, frames[row])
        record = about | measure(row, frames[row], reference, meters)
        if row in ("wrong_audio", "mesh_wrong_audio"):
            other = clips[conditions.other_clip(clips, number)]
            other_T = np.array(other.truth["aperture"]) if other.truth else faces.aperture(other.landmarks_T682)
            sound_T = conditions.tiled(other_T, len(record["opening"]))
            record["follows_its_sound"] = float(temporal.lag_curve(record["opening"], sound_T, 0)[0])
        yield record


def measure_noise(sync: LipSync, clips: Clips, meters: Meters, raw: RawClips, p: EvaluateParams) -> Iterator[Record]:
    """How well the mouth follows with music or noise in the background, on the first clips."""
    num = min(p.noise_clips, len(clips))
    for number in progress(range(num), "evaluating under noise", "clip"):
        clip, key = clips[number], clips.keys[number]
        num_frames = len(clip.faces_TSS3)
        filmed, voice = mouth_score.filmed_mouth(clip, meters.predictor), raw.sound(key)
        for kind in mixtures.KINDS:
            for snr_db in p.noise_snr_db:
                mfcc_FW = audio.mfcc(mixtures.mix_at_snr(voice, kind, snr_db, key), num_frames)
                output_TSS3 = mouth_score.generate_clip(sync, clip, mfcc_FW)
                score = mouth_score.score(output_TSS3, filmed, meters.predictor, meters.max_lag)
                yield {
                    "kind": kind,
                    "snr_db": snr_db,
                    "clip": key,
                    "aperture_corr": score.corr,
                    "amplitude_ratio": score.amplitude_ratio,
                }


def generator_records(checkpoint: Path, max_lag: int) -> list[Record]:
    """The generator's records on the test clips with the right sound, to compare checkpoints."""
    sync, meters = LipSync(checkpoint), Meters(MeshPoints(), max_lag)
    clips = Clips(paths.INDEX, paths.SHARDS, "test")
    numbers = progress(range(len(clips)), f"evaluating {checkpoint.name}", "clip")
    rows = ("right_audio",)
    return [record for number in numbers for record in measure_clip(sync, clips, number, rows, meters, None)]
