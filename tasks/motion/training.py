"""The training of the motion network from clips that are loaded: `python -m tasks.motion` and the stage `motion`."""

import platform
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from model import seeds
from model.motion import Motion, MotionNet
from model.params import MotionParams, Params
from tasks.core import config
from tasks.motion import measure, steps
from tasks.motion.batches import MotionClip, Pieces, geometric_mean, sizes, spreads
from tasks.motion.loop import MotionTrainer

MOTION_VERSION = 1  # raise it when the same parameters and clips give different weights

Figures = dict[str, dict[str, float]]  # person -> name -> value


def run(train: Sequence[MotionClip], val: Sequence[MotionClip], p: Params, data_hash: str) -> tuple[Motion, float, str]:
    """Train to `motion.num_steps`, from the start or resuming the same training.

    data_hash   of the data: with the parameters it identifies the training
    Returns the network, the spread of the average person's opening, where a person's size is 1, in eye distances, and
    the id of its run.
    Errors: Stopped on a request to stop
    """
    trainer = MotionTrainer(Pieces(train, p.motion, p.seed), p.motion, p.seed)
    measured = partial(validated, trainer.average.network, trainer.pieces, val, p.motion)
    run_id = steps.run("motion", trainer, measured, p, training_key(p, data_hash))
    network = trained(trainer.average.network, trainer.pieces, val, p.motion)
    return network, average_person(trainer.pieces, val), run_id


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


def figures(network: Motion, clips: Sequence[MotionClip], usual: float) -> Figures:
    """Of held-out people; `usual`: spread of the average person's opening."""
    return measure.figures(network, clips, sizes(clips, usual, network.p))


def summary(figures: Mapping[str, Figures]) -> str:
    """One line on the figures of each split."""
    means = {name: measure.mean_of_people(of) for name, of in figures.items()}
    return "; ".join(
        f"{name}: opening r {of['opening_r']:.2f}, shifted audio {of['moved_r']:.2f}, amplitude {of['amplitude']:.2f}"
        for name, of in means.items()
    )


def people(clips: Sequence[MotionClip]) -> dict[str, Any]:
    """The people of the first data folder by name, the number of further ones, of clips and of frames."""
    return {
        "people": sorted({clip.person for clip in clips if clip.folder == 0}),
        "further_people": len({clip.person for clip in clips if clip.folder}),
        "clips": len(clips),
        "frames": sum(len(clip.mouth_TS3) for clip in clips),
    }


def made_by(p: Params) -> dict[str, Any]:
    """What the JSON beside the weights says of the code."""
    return {
        "what": "sound to the mouth's motion: model/motion.py",
        "seed": p.seed,
        "version": MOTION_VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
