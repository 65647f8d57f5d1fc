"""Copies a trained generator and its sync expert to released/, from where `dub` takes them in a fresh clone.

reads   models/expert.safetensors, data/index.parquet, reports/expert.json; models/generator.safetensors, or with
        --unfinished the last state of the training (.cache/train/)
writes  released/generator.safetensors, released/expert.safetensors, a .json beside each; no expert where it
        cannot judge people it was not trained on

    python -m tasks.train.release                  the finished training of params.yaml
    python -m tasks.train.release --unfinished     its last state, with the steps that it has

Weights of two or more axes are stored in half precision, the others (norms, biases) as they are: `stored`. The JSON
says on whom they were trained, what licence that has, and how; the same training gives the same bytes.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as as_bytes

from model.params import Params
from tasks.core import config, paths
from tasks.core.device import choose_device
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.inference import checkpoints, lip_sync, sync_meter
from tasks.loading.clips import Clips
from tasks.train import stage
from tasks.train.state import States

OPEN = "CC BY 4.0"  # data whose weights may be shared with attribution
COMMAND = "make lipgan GRID=FOLDER"
LEAST_2AFC = 0.75  # of the expert on people of val: what one near chance, 0.5, says of a dub would mislead
WHOLE = 1  # axes: norms and biases, whose values may lie outside the range of half precision


def run(p: Params, *, unfinished: bool = False) -> str:
    """Errors: UserError where nothing is trained, or on data whose licence does not allow it"""
    people = _people()
    weights, about = _unfinished(p) if unfinished else checkpoints.load(paths.GENERATOR)
    steps = {"steps": about["loop"]["step"], "of": p.train.num_steps}
    _release(lip_sync.RELEASED, weights, about | {"what": "LipGAN's generator: model/generator.py"} | steps, people)
    figures = json.loads(paths.EXPERT_REPORT.read_text())
    right = figures["accuracy_2afc"]
    if judges := right >= LEAST_2AFC:
        weights, about = checkpoints.load(paths.EXPERT)
        measured = {name: figures[name] for name in ("accuracy", "accuracy_2afc", "in_sync_share", "clips")}
        about |= {"what": "sync expert: model/expert.py", "figures": {"val": measured, "test": figures["test"]}}
        _release(sync_meter.RELEASED, weights, about, people)
    else:  # an earlier one is not of this generator
        for old in (sync_meter.RELEASED, sync_meter.RELEASED.with_suffix(".json")):
            old.unlink(missing_ok=True)
    size_mb = sum(path.stat().st_size for path in (lip_sync.RELEASED, sync_meter.RELEASED) if path.is_file()) / 1e6
    return (
        f"{lip_sync.RELEASED.parent}: step {steps['steps']} of {steps['of']}, {size_mb:.1f} MB, "
        f"{'with' if judges else 'without'} the expert, right in {right:.0%} of the pairs of unseen people"
        f"{'' if judges else f': under {LEAST_2AFC:.0%}'}"
    )


def stored(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """In half precision where the weights allow it; `checkpoints.load` reads them as float32."""
    return {
        name: (weight.half() if weight.is_floating_point() and weight.ndim > WHOLE else weight).cpu().contiguous()
        for name, weight in weights.items()
    }


def _unfinished(p: Params) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    states = States(p)
    if (state := checkpoints.load_state(states.last)) is None:  # States.load would delete what a training is writing
        raise UserError(f"{states.last}: no such file; `python -m flows train` begins the training")
    gan = stage.make_gan(p, choose_device())
    gan.load_state_dict(state["gan"])
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    about = stage.describe(p, clips, state["step"], state["alarms"], state["curve"])
    return gan.shown.state_dict(), about | {"network": "generator"}


def _people() -> dict[str, dict[str, int]]:
    """Split -> person -> clips."""
    rows_of = {split: Clips(paths.INDEX, paths.SHARDS, split).rows for split in ("train", "val", "test")}
    return {split: dict(sorted(Counter(row["person"] for row in rows).items())) for split, rows in rows_of.items()}


def _release(path: Path, weights: dict[str, torch.Tensor], about: dict[str, Any], people: Any) -> None:
    licences = about["lineage"]["licences"]
    if other := [licence for licence in licences if not licence.startswith(OPEN)]:
        raise UserError(f"{paths.INDEX}: trained on data under {other[0]!r}; only weights of {OPEN} data are released")
    halves = stored(weights)
    about |= {
        "sha256": hashlib.sha256(as_bytes(halves)).hexdigest(),
        "licence": OPEN,
        "attribution": licences,
        "command": COMMAND,
        "people": people,
        "stored": "float16; tensors of one axis as trained",
    }
    checkpoints.save(path, halves, about)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tasks.train.release", description=__doc__.split("\n\n")[0])
    parser.add_argument("--unfinished", action="store_true", help="the last state of a training that is not finished")
    try:
        say(run(config.load(paths.PARAMS), unfinished=parser.parse_args().unfinished))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
