"""Trains the motion network on folders of clips: sound -> how the mouth moves.

reads   videos, as FOLDER/PERSON/*.mpg, and the lip refiner's weights
writes  --out (safetensors) and the JSON beside it: data, people, figures of held-out people, parameters, hashes
keeps   .cache/motion/<key>/state.pt, from which a training that was stopped goes on, bit for bit

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
from tasks.inference import checkpoints
from tasks.motion import clips, measure, weights
from tasks.motion.batches import MotionClip, Pieces, geometric_mean, sizes, spreads
from tasks.motion.clips import Source
from tasks.motion.loop import MotionTrainer
from tasks.tracking import runs as tracking

MOTION_VERSION = 1  # raise it when the same parameters and clips train to other weights


@dataclass(frozen=True, slots=True)
class Order:
    """What to train on, and what is said of it. `val` and `test`: names or patterns of people."""

    data: tuple[Path, ...]
    out: Path
    val: tuple[str, ...]
    test: tuple[str, ...] = ()
    licence: str = ""
    attribution: str = ""
    command: str = ""


def run(p: Params, order: Order) -> str:
    """Train to `motion.num_steps`, from the start or from where the same training stopped; one line for people.

    Errors: UserError where a split has no clip; Stopped where it was asked to stop
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
    weights.save(order.out, network, about(order, loaded, figures, data_hash, p.seed) | {"usual_spread": usual})
    means = {name: measure.mean_of_people(of) for name, of in figures.items()}
    told = "; ".join(f"{name}: opening r {of['opening_r']:.2f}, moved sound {of['moved_r']:.2f}, amplitude "
                     f"{of['amplitude']:.2f}" for name, of in means.items())  # fmt: skip
    return f"{p.motion.num_steps} steps on {len(loaded['train'])} clips; people it never saw: {told}"


def splits(sources: Sequence[Source], order: Order) -> dict[str, list[Source]]:
    """train, val, test -> videos.  Errors: UserError for a pattern that names nobody, or an empty split"""
    people = {source.person for source in sources}
    for pattern in (*order.val, *order.test):
        if not any(fnmatch(person, pattern) for person in people):
            raise UserError(f"--val/--test {pattern}: nobody has that name; there are {', '.join(sorted(people)[:20])}")
    split: dict[str, list[Source]] = {"train": [], "val": [], "test": []}
    for source in sources:
        held_out = [name for name in ("val", "test") if any(fnmatch(source.person, of) for of in getattr(order, name))]
        if len(held_out) > 1:
            raise UserError(f"{source.person} is in --val and in --test")
        split[held_out[0] if held_out else "train"].append(source)
    if not split["train"] or not split["val"]:
        raise UserError("motion: somebody must be left to train on, and --val must name somebody else")
    return split


def train(trainer: MotionTrainer, val: Sequence[MotionClip], p: Params, key: str) -> None:
    """Errors: Stopped"""
    file = paths.cache() / "motion" / key / "state.pt"
    state = checkpoints.load_state(file) or {"run_id": ""}
    if "step" in state:
        trainer.restore(state)
        say(f"motion: going on at step {trainer.step} of {p.motion.num_steps}")
    with (
        tracking.run("motion", p, state["run_id"] or None) as tracker,
        stoppable() as stop,
        bar(p.motion.num_steps, "training", "step", initial=trainer.step) as shown,
    ):

        def save(state: dict[str, Any]) -> None:
            checkpoints.save_state(file, state | {"run_id": tracker.run_id})

        def after_step() -> None:
            shown.update()
            if stop.why and trainer.step < p.motion.num_steps:
                save(trainer.state())
                raise Stopped(f"motion: stopped by {stop.why} at step {trainer.step}: run again to go on")

        trainer.run(
            measure=lambda net: validated(net, trainer.pieces, val, p.motion),
            save=save, log=tracker.metrics, after_step=after_step,
        )  # fmt: skip


def trained(net: MotionNet, pieces: Pieces, val: Sequence[MotionClip], p: MotionParams) -> Motion:
    """The network with its shapes, moving as far as the held-out people do, at the size of the average person."""
    size_of = sizes(val, average_person(pieces, val), p)
    return measure.calibrated(Motion(net, pieces.shapes, p), val, size_of)


def average_person(pieces: Pieces, val: Sequence[MotionClip]) -> float:
    """Deviation of the opening of the average of those trained on and those held out for validation."""
    return geometric_mean([*pieces.spread_of.values(), *spreads(val).values()])


def validated(net: MotionNet, pieces: Pieces, val: Sequence[MotionClip], p: MotionParams) -> dict[str, float]:
    figures = measure.figures(trained(net, pieces, val, p), val, sizes(val, average_person(pieces, val), p))
    return {f"val_{name}": value for name, value in measure.mean_of_people(figures).items()}


def training_key(p: Params, data_hash: str) -> str:
    """What a training is: another one never goes on from its state."""
    return f"{config.digest(p.motion)[:16]}-{seeds.derive(MOTION_VERSION, p.seed, data_hash):016x}"


def about(
    order: Order, loaded: dict[str, list[MotionClip]], figures: Mapping[str, Any], data_hash: str, seed: int
) -> dict[str, Any]:
    """What stands beside the weights; people of the first folder by name.

    usual_spread   deviation of the lips' opening of the average person: 1 of `size`, in distances of the eyes' corners
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
