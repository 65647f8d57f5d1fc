"""Trains the motion network on folders of clips: audio -> mouth motion.

reads   videos, as FOLDER/PERSON/*.mpg, and the lip refiner's weights
writes  --out (safetensors) and the JSON beside it: data, people, figures of held-out people, parameters, hashes

    python -m tasks.motion --data ../grid/video data/rendered --val s31 p03 --test s27 'p0[4-8]' \\
        --licence "CC BY 4.0" --attribution "GRID (Cooke et al. 2006)" --out released/motion.safetensors

People of --val and --test are never trained on; gains and curves are measured on --val, the final figures on both.
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from model.params import Params
from tasks.core.errors import UserError
from tasks.features import mesh_model
from tasks.inference import motion_weights
from tasks.motion import clips, training
from tasks.motion.batches import MotionClip, at_most
from tasks.motion.clips import Source


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


def parser(prog: str, what: str, example: str) -> argparse.ArgumentParser:
    """The command line of a training on folders of clips."""
    of = argparse.ArgumentParser(
        prog=prog, description=what, epilog=example, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    of.add_argument("--data", nargs="+", type=Path, required=True, metavar="FOLDER")
    of.add_argument("--val", nargs="+", required=True, metavar="PERSON", help="held out: for the curves and gains")
    of.add_argument("--test", nargs="*", default=[], metavar="PERSON", help="held out: for the final figures")
    of.add_argument("--out", type=Path, required=True, help="the weights file; a JSON is written beside it")
    of.add_argument("--licence", default="", help="licence of the data, for the JSON")
    of.add_argument("--attribution", default="", help="attribution of the data, for the JSON")
    return of


def ordered(prog: str, args: argparse.Namespace, arguments: Sequence[str]) -> Order:
    command = shlex.join([*prog.split(), *arguments])
    return Order(tuple(args.data), args.out, tuple(args.val), tuple(args.test), args.licence, args.attribution, command)


def run(p: Params, order: Order) -> str:
    """Train to `motion.num_steps`, from the start or resuming the same training; returns a one-line summary.

    Errors: UserError if a split has no clip; Stopped on a request to stop
    """
    split = splits(at_most(clips.sources(order.data), p.motion.clips_per_person), order)
    loaded = {name: clips.load(of, p.motion) for name, of in split.items() if of}
    data_hash = clips.source_hash(split["train"])
    network, usual, _ = training.run(loaded["train"], loaded["val"], p, data_hash)
    figures = {name: training.figures(network, of, usual) for name, of in loaded.items() if name != "train"}
    motion_weights.save(order.out, network, about(order, loaded, figures, data_hash, p) | {"usual_spread": usual})
    return f"{p.motion.num_steps} steps on {len(loaded['train'])} clips; unseen people: {training.summary(figures)}"


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


def about(
    order: Order, loaded: Mapping[str, Sequence[MotionClip]], figures: Mapping[str, Any], data_hash: str, p: Params
) -> dict[str, Any]:
    """The JSON beside the weights; it lists people of the first folder by name."""
    people = {name: training.people(of) for name, of in loaded.items()}
    return training.made_by(p) | {
        "data": people | {"train_videos_sha256": data_hash},
        "figures": figures,
        "licence": order.licence,
        "attribution": order.attribution,
        "command": order.command,
        "mouths_read_by": {"face_mesh": mesh_model.SHA256, "lip_refiner": clips.refiner_hash()},
    }
