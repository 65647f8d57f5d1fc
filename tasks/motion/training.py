"""The training of the motion network from clips that are loaded: `python -m tasks.motion` and the stage `motion`.

keeps   .cache/motion/<key>/state.pt, from which an interrupted training resumes, bit for bit
"""

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from model import seeds
from model.motion import Motion, MotionNet
from model.params import MotionParams, Params
from tasks.core import config, paths
from tasks.core.errors import Stopped
from tasks.core.progress import bar, say
from tasks.core.stopping import stoppable
from tasks.inference import checkpoints
from tasks.motion import measure
from tasks.motion.batches import MotionClip, Pieces, geometric_mean, sizes, spreads
from tasks.motion.loop import MotionTrainer
from tasks.tracking import runs as tracking

MOTION_VERSION = 1  # raise it when the same parameters and clips give different weights

Figures = dict[str, dict[str, float]]  # person -> name -> value


def run(train: Sequence[MotionClip], val: Sequence[MotionClip], p: Params, data_hash: str) -> tuple[Motion, float]:
    """Train to `motion.num_steps`, from the start or resuming the same training.

    data_hash   of the data: with the parameters it identifies the training
    Returns the network and the spread of the average person's opening, where a person's size is 1, in eye distances.
    Errors: Stopped on a request to stop
    """
    trainer = MotionTrainer(Pieces(train, p.motion, p.seed), p.motion, p.seed)
    steps(trainer, val, p, training_key(p, data_hash))
    return trained(trainer.average.network, trainer.pieces, val, p.motion), average_person(trainer.pieces, val)


def steps(trainer: MotionTrainer, val: Sequence[MotionClip], p: Params, key: str) -> None:
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
