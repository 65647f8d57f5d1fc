"""Ablations: the experiments of LipGAN's authors on their losses, repeated with several seeds.

reads   data/index.parquet, data/shards/*.tar, models/expert.safetensors, params.yaml
writes  reports/experiments/: experiments.json, curves.csv, a figure an experiment, experiments.html
keeps   .cache/experiments/<key>/, a project folder per training; interrupted ones resume, finished ones stay

    python -m flows experiments --steps 800 --seeds 3

1  L1 against lip-weighted L1: which shapes the mouth earlier, and whether they converge
2  The co-trained discriminator on 1,000 random faces (LipGAN's authors: about 63 %) against the expert on the same ones
3  The generator's teacher: no sync loss, the co-trained discriminator, the expert, the expert and visual quality
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from model import samples, seeds
from model.expert import MIDDLE, RUN
from model.params import Params, TermParams, TermsParams, TrainParams
from tasks.core import config, csv_tables, files, paths, programs
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.progress import progress, say
from tasks.evaluate import conditions, discriminator
from tasks.features.mesh_points import MeshPoints
from tasks.inference import mouth_score
from tasks.inference.lip_sync import LipSync
from tasks.inference.sync_meter import SyncMeter
from tasks.loading.clips import Clips
from tasks.studies import ablations_page

OFF = TermParams(weight=0.0, begin=0.0, ramp=0.0, metric="none", below=0.0)
PLAIN = TermsParams(sync=OFF, expert=OFF, quality=OFF, temporal=OFF, perceptual=OFF)


@dataclass(frozen=True, slots=True)
class Variant:
    """One ablation; `changes` to section train of params.yaml."""

    name: str
    title: str
    changes: dict[str, Any]


def variants(t: TrainParams) -> list[Variant]:
    """The trainings that the three experiments share, with the weights of params.yaml."""
    sync = replace(OFF, weight=t.terms.sync.weight or 0.01)
    with_expert = {"perceptual": t.terms.perceptual, "expert": t.terms.expert}
    quality = replace(t.terms.quality, weight=t.terms.quality.weight or 0.002)
    without = {"audio_from_expert": "never"}
    return [
        Variant("plain", "plain L1, co-trained discriminator", without | {"lip_alpha": 1.0, "terms": {"sync": sync}}),
        Variant("none", "lip-weighted L1, nothing else", without | {"terms": {}}),
        Variant("cotrained", "lip-weighted L1, co-trained discriminator", without | {"terms": {"sync": sync}}),
        Variant("expert", "and the expert", {"terms": {"sync": sync} | with_expert}),
        Variant("quality", "and visual quality", {"terms": {"sync": sync} | with_expert | {"quality": quality}}),
    ]


def params_of(p: Params, variant: Variant, *, steps: int, seed: int) -> Params:
    changes = dict(variant.changes)
    terms = replace(PLAIN, **changes.pop("terms"))
    val_every = p.train.log_every * max(1, steps // 16 // p.train.log_every)  # only rows of the log are kept
    trained = replace(p.train, num_steps=steps, val_every=val_every, terms=terms, **changes)
    return replace(p, seed=seed, train=trained)


def run(p: Params, *, steps: int, num_seeds: int) -> str:
    """Train every variant with every seed, measure, write the report; returns a summary line.

    Errors: UserError if there is no expert, or it has weight 0 in params.yaml: there is nothing to compare.
    """
    if not (p.train.terms.expert.weight or p.train.terms.perceptual.weight):
        raise UserError("experiments: train.terms.expert and .perceptual have weight 0: give one of them a weight")
    expert_share = judge_expert(p)
    steps = steps or p.train.num_steps
    trainings = [(variant, p.seed + k) for variant in variants(p.train) for k in range(num_seeds)]
    results: list[dict[str, Any]] = []
    for number, (variant, seed) in enumerate(trainings):
        say(f"experiments: training {number + 1} of {len(trainings)}: {variant.title}, seed {seed}")
        folder = train(params_of(p, variant, steps=steps, seed=seed))
        results.append({"variant": variant.name, "title": variant.title, "seed": seed} | measure(folder, p))
    curves = [
        {"variant": result["variant"], "seed": result["seed"]} | row
        for result in results
        for row in result.pop("curve")
        if row["val_l1"] != ""
    ]
    report = {
        "steps": steps,
        "batch_size": p.train.batch_size,
        "corpora": sorted({row["corpus"] for row in Clips(paths.INDEX, paths.SHARDS, "train").rows}),
        "pairs": p.evaluate.num_pairs,
        "expert": expert_share,
        "trainings": csv_tables.rounded(results),
    }
    paths.EXPERIMENTS.mkdir(parents=True, exist_ok=True)
    write_atomic(paths.EXPERIMENTS / "experiments.json", json.dumps(report, indent=2) + "\n")
    csv_tables.write_csv(paths.EXPERIMENTS / "curves.csv", curves)
    ablations_page.write(report, curves)
    return f"{len(results)} trainings of {steps} steps: {paths.EXPERIMENTS}/experiments.html"


def train(p: Params) -> Path:
    """Run or resume one training, unless it is finished; returns its project folder."""
    data = files.md5_file(paths.INDEX)
    sections = config.digest(p.train, p.model.network, p.faces)
    key = f"{seeds.derive(sections, p.seed, data, files.md5_file(paths.EXPERT)):016x}"
    folder = paths.cache().absolute() / "experiments" / data / key
    (folder / "models").mkdir(parents=True, exist_ok=True)
    for shared in (paths.EXPERT, paths.EXPERT.with_suffix(".json"), Path("data")):
        link = folder / shared
        if not link.exists():
            link.symlink_to(shared.absolute())
    if not (folder / paths.GENERATOR).is_file():
        write_atomic(folder / "params.yaml", yaml.safe_dump(config.as_dict(p)))
        tracking = os.environ.get("LIPGAN_TRACKING", "jsonl").replace("mlflow", "jsonl")
        programs.train(variables={"LIPGAN_CACHE": str(folder / ".cache"), "LIPGAN_TRACKING": tracking}, folder=folder)
    return folder


def measure(folder: Path, p: Params) -> dict[str, Any]:
    """A training's figures on the test clips, its discriminator's on random faces, and its curve."""
    generator, predictor = LipSync(folder / paths.GENERATOR), MeshPoints()
    clips = Clips(paths.INDEX, paths.SHARDS, "test")
    numbers = progress(range(len(clips)), "test", "clip")
    per_clip = [_score_clip(generator, predictor, clips, number, p.evaluate.max_lag) for number in numbers]
    figures = {name: float(np.mean([one[name] for one in per_clip])) for name in per_clip[0]}
    return figures | {
        "discriminator": discriminator.accuracy(folder / paths.DISCRIMINATORS, clips, p)["accuracy_2afc"],
        "curve": csv_tables.read_csv(folder / paths.TRAIN_CURVE),
    }


def _score_clip(generator: LipSync, predictor: MeshPoints, clips: Clips, number: int, max_lag: int) -> dict[str, float]:
    """How the mouth follows the clip's own sound and that of a clip of another video."""
    clip, figures = clips[number], dict[str, float]()
    filmed = mouth_score.filmed_mouth(clip, predictor)
    for name, mfcc_FW in (("right", clip.mfcc_FW), ("wrong", conditions.wrong_sound(clips, number))):
        output_TSS3 = mouth_score.generate_clip(generator, clip, mfcc_FW)
        score = mouth_score.score(output_TSS3, filmed, predictor, max_lag)
        figures |= {f"corr_{name}": score.corr, f"amplitude_{name}": score.amplitude_ratio}
    return figures


def judge_expert(p: Params) -> float:
    """Share of random test faces that the expert finds nearer to their right sound than to a wrong one; chance 0.5.

    The same pairs as the discriminator's, each face with the four frames around it.
    """
    meter, clips = SyncMeter(), Clips(paths.INDEX, paths.SHARDS, "test")
    draws, nearer = discriminator.random_pairs(clips, p), []
    for row in range(len(draws)):
        clip, other = clips[int(draws.clip_N[row])], clips[int(draws.negative_clip_N[row])]
        start = int(np.clip(draws.target_N[row] - MIDDLE, 0, len(clip.faces_TSS3) - RUN))
        at = np.array([start + MIDDLE]), np.array([draws.negative_frame_N[row]])
        right, wrong = (samples.windows(of.mfcc_FW, t) for of, t in zip((clip, other), at, strict=True))
        nearer.append(meter.nearer(clip.faces_TSS3[start : start + RUN], right[0], wrong[0]))
    return float(np.mean(nearer))
