"""Trains the motion network on folders of clips: audio -> mouth motion.

reads   videos, as FOLDER/PERSON/*.mpg, and the lip refiner's weights
writes  --out (safetensors) and the JSON beside it: data, people, figures of held-out people, parameters, hashes
keeps   .cache/motion/<key>/state.pt, from which an interrupted training resumes, bit for bit

    python -m tasks.motion --data ../grid/video data/rendered --val s31 p03 --test s27 'p0[4-8]' \\
        --licence "CC BY 4.0" --attribution "GRID (Cooke et al. 2006)" --out released/motion.safetensors

People of --val and --test are never trained on; gains and curves are measured on --val, the final figures on both.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch

from model import seeds
from model.motion import Motion, MotionNet
from model.params import MotionParams, Params
from tasks.core import config, paths
from tasks.core.errors import Stopped, UserError
from tasks.core.progress import bar, say
from tasks.core.stopping import stoppable
from tasks.features import mesh_model
from tasks.inference import checkpoints, motion_weights
from tasks.motion import clips, measure
from tasks.motion.batches import MotionClip, Pieces, geometric_mean, sizes, spreads
from tasks.motion.clips import Source
from tasks.motion.loop import MotionTrainer
from tasks.tracking import runs as tracking

MOTION_VERSION = 1  # raise it when the same parameters and clips give different weights


@dataclass(frozen=True, slots=True)
class Order:
    """Training data and output, with the notes for the JSON. `val` and `test`: names or patterns of people."""

    data: tuple[Path, ...]
    out: Path
    val: tuple[str, ...]
    test: tuple[str, ...] = ()
    licence: str = ""
    attribution: str = ""
    command: str = ""


def run(p: Params, order: Order) -> str:
    """Train to `motion.num_steps`, from the start or resuming the same training; returns a one-line summary.

    Errors: UserError if a split has no clip; Stopped on a request to stop
    """
    split = splits(clips.at_most(clips.sources(order.data), p.motion.clips_per_person), order)
    loaded = {name: clips.load(of) for name, of in split.items() if of}
    pieces = Pieces(loaded["train"], p.motion, p.seed)
    trainer = MotionTrainer(pieces, p.motion, p.seed)
    data_hash = clips.source_hash(split["train"])
    train(trainer, loaded["val"], p, training_key(p, data_hash))
    network = trained(trainer.average.network, pieces, loaded["val"], p.motion)
    usual = average_person(pieces, loaded["val"])
    figures: dict[str, Any] = {
        name: measure.figures(network, loaded[name], sizes(loaded[name], usual, p.motion))
        for name in ("val", "test")
        if name in loaded
    }
    motion_weights.save(order.out, network, about(order, loaded, figures, data_hash, p.seed) | {"usual_spread": usual})
    means = {name: measure.mean_of_people(of) for name, of in figures.items()}
    summary = "; ".join(f"{name}: opening r {of['opening_r']:.2f}, shifted audio {of['moved_r']:.2f}, amplitude "
                     f"{of['amplitude']:.2f}" for name, of in means.items())  # fmt: skip
    return f"{p.motion.num_steps} steps on {len(loaded['train'])} clips; unseen people: {summary}"


def splits(sources: Sequence[Source], order: Order) -> dict[str, list[Source]]:
    """train, val, test -> videos.  Errors: UserError for a pattern that matches nobody, or an empty split"""
    people = {source.person for source in sources}
    for pattern in (*order.val, *order.test):
        if not any(fnmatch(person, pattern) for person in people):
            raise UserError(f"--val/--test {pattern}: matches nobody; people are {', '.join(sorted(people)[:20])}")
    split: dict[str, list[Source]] = {"train": [], "val": [], "test": []}
    for source in sources:
        held_out = [name for name in ("val", "test") if any(fnmatch(source.person, of) for of in getattr(order, name))]
        if len(held_out) > 1:
            raise UserError(f"{source.person} is in both --val and --test")
        split[held_out[0] if held_out else "train"].append(source)
    if not split["train"] or not split["val"]:
        raise UserError(
            "motion: nobody to train on or to validate on; leave people out of --val and --test, and name some in --val"
        )
    return split


def train(trainer: MotionTrainer, val: Sequence[MotionClip], p: Params, key: str) -> None:
    """Errors: Stopped"""
    file = paths.cache() / "motion" / key / "state.pt"
    state = checkpoints.load_state(file) or {"run_id": ""}
    if "step" in state:
        trainer.restore(state)
        say(f"motion: resuming at step {trainer.step} of {p.motion.num_steps}")
    with (
        tracking.run("motion", p, state["run_id"] or None) as tracker,
        stoppable() as stop,
        bar(p.motion.num_steps, "training", "step", initial=trainer.step) as progress,
    ):

        def save(state: dict[str, Any]) -> None:
            checkpoints.save_state(file, state | {"run_id": tracker.run_id})

        def after_step() -> None:
            progress.update()
            if stop.why and trainer.step < p.motion.num_steps:
                save(trainer.state())
                raise Stopped(f"motion: stopped by {stop.why} at step {trainer.step}: run again to resume")

        trainer.run(
            measure=lambda net: validated(net, trainer.pieces, val, p.motion),
            save=save, log=tracker.metrics, after_step=after_step,
        )  # fmt: skip


def trained(net: MotionNet, pieces: Pieces, val: Sequence[MotionClip], p: MotionParams) -> Motion:
    """The network with its shapes, calibrated to the held-out people's motion at the average person's size."""
    size_of = sizes(val, average_person(pieces, val), p)
    return measure.calibrated(Motion(net, pieces.shapes, p), val, size_of)


def average_person(pieces: Pieces, val: Sequence[MotionClip]) -> float:
    """Standard deviation of the average person's opening, over training and validation people."""
    return geometric_mean([*pieces.spread_of.values(), *spreads(val).values()])


def validated(net: MotionNet, pieces: Pieces, val: Sequence[MotionClip], p: MotionParams) -> dict[str, float]:
    figures = measure.figures(trained(net, pieces, val, p), val, sizes(val, average_person(pieces, val), p))
    return {f"val_{name}": value for name, value in measure.mean_of_people(figures).items()}


def training_key(p: Params, data_hash: str) -> str:
    """Identifies a training: only the same training resumes from its state."""
    return f"{config.digest(p.motion)[:16]}-{seeds.derive(MOTION_VERSION, p.seed, data_hash):016x}"


def about(
    order: Order, loaded: dict[str, list[MotionClip]], figures: Mapping[str, Any], data_hash: str, seed: int
) -> dict[str, Any]:
    """The JSON beside the weights; it lists people of the first folder by name.

    usual_spread   standard deviation of the average person's opening, where `size` is 1, in eye distances
    """
    people = {
        name: {
            "people": sorted({clip.person for clip in of if clip.folder == 0}),
            "further_people": len({clip.person for clip in of if clip.folder}),
            "clips": len(of),
            "frames": sum(len(clip.mouth_TS3) for clip in of),
        }
        for name, of in loaded.items()
    }
    return {
        "what": "sound to the mouth's motion: model/motion.py",
        "data": people | {"train_videos_sha256": data_hash},
        "figures": figures,
        "licence": order.licence,
        "attribution": order.attribution,
        "command": order.command,
        "seed": seed,
        "mouths_read_by": {"face_mesh": mesh_model.SHA256, "lip_refiner": clips.refiner_hash()},
        "version": MOTION_VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
