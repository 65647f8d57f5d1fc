"""The training of the network that paints the mouth's inside, from clips: `python -m tasks.inside` and stage `inside`.

keeps   .cache/inside/<key>/state.pt, from which an interrupted training resumes, bit for bit; <key>-pairs/*.npz
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from model import seeds
from model.inside import InsideNet
from model.params import InsideParams, Params
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import progress, say
from tasks.inside import measure, pairs
from tasks.inside.batches import Batches
from tasks.inside.loop import InsideTrainer
from tasks.inside.pairs import Film, Pool
from tasks.motion import steps

INSIDE_VERSION = 1  # raise it when the same parameters and clips give different weights
HELD_OUT_PAIRS = 2 * measure.MOST_PAIRS  # of a person


class Source(Protocol):
    """A clip that is not read yet.  folder: number of its data folder"""

    @property
    def person(self) -> str: ...
    @property
    def folder(self) -> int: ...


Clip = TypeVar("Clip", bound=Source)
People = dict[str, Pool]


def run(
    split: Mapping[str, Sequence[Clip]], read: Callable[[Clip], Film | None], p: Params, data_hash: str
) -> tuple[InsideNet, dict[str, Any], str]:
    """Train to `inside.num_steps`, from the start or resuming the same training.

    split      train, val and, for figures alone, others
    read       None for a clip that cannot be used
    data_hash  of the clips: with the parameters it identifies the training
    Returns the network, what its JSON says of data and held-out people, and the id of its run.
    Errors: UserError if a split gives no pair; Stopped on a request to stop
    """
    folder = paths.cache() / "inside" / pairs_key(p, data_hash)
    pools = {name: pooled(folder / f"{name}.npz", of, read, p) for name, of in split.items() if of}
    together = pairs.pool(list(pools["train"].values()))
    trainer = InsideTrainer(Batches(together, p.inside, p.seed), p.inside, p.seed)
    net = trainer.gan.average.network
    run_id = steps.run("inside", trainer, partial(validated, net, pools["val"]), p, training_key(p, data_hash))
    figures = {name: measure.figures(net, of) for name, of in pools.items() if name != "train"}
    data = {name: _people(split[name], of) for name, of in pools.items()}
    return net, made_by(p) | {"data": data, "figures": figures}, run_id


def pooled(file: Path, sources: Sequence[Clip], read: Callable[[Clip], Film | None], p: Params) -> People:
    """The pairs of each person, made, or read back from the file.  Errors: UserError if there is none"""
    if not file.is_file():
        made = _made(sources, read, p.inside if file.stem == "train" else None, p.seed)
        if not made:
            raise UserError(
                f"inside: no clip of split {file.stem} shows a mouth both closed and open; {len(sources)} were read"
            )
        flat = {f"{person}/{part}": getattr(of, part) for person, of in made.items() for part in Pool.__slots__}
        with all_or_nothing(file) as partial_file, partial_file.open("wb") as out:
            np.savez(out, **flat)
    with np.load(file) as stored:
        people = dict.fromkeys(entry.rpartition("/")[0] for entry in stored)
        return {person: Pool(*(stored[f"{person}/{part}"] for part in Pool.__slots__)) for person in people}


def _made(sources: Sequence[Clip], read: Callable[[Clip], Film | None], p: InsideParams | None, seed: int) -> People:
    """`p`: for training, whose number of pairs is limited by it; None: for figures."""
    parts: dict[str, list[Pool]] = {}
    for source, num in progress(list(zip(sources, _numbers(sources, p), strict=True)), "pairing frames", "clip"):
        if film := read(source):
            made = pairs.of_film(film, num, seeds.generator(seed, "inside", film.person, film.name))
            if made is not None:
                parts.setdefault(film.person, []).append(made)
    return {person: pairs.pool(of) for person, of in parts.items()}


def _numbers(sources: Sequence[Source], p: InsideParams | None) -> list[int]:
    """How many pairs to make of each clip: a folder's share is divided equally by its people, theirs by their clips."""
    clips_of = Counter(source.person for source in sources)
    if p is None:
        return [-(-HELD_OUT_PAIRS // clips_of[source.person]) for source in sources]
    folder_of = {source.person: source.folder for source in sources}
    people_of = Counter(folder_of.values())
    others = len(people_of.keys() - {0})

    def of_folder(number: int) -> float:
        return (1 - p.first_share) / others if number else p.first_share if others else 1.0

    return [
        max(1, round(p.num_pairs * of_folder(source.folder) / people_of[source.folder] / clips_of[source.person]))
        for source in sources
    ]


def validated(net: InsideNet, people: People) -> dict[str, float]:
    return {f"val_{name}": value for name, value in measure.mean_of_people(measure.figures(net, people)).items()}


def training_key(p: Params, data_hash: str) -> str:
    """Identifies a training: only the same training resumes from its state."""
    return f"{config.digest(p.inside)[:16]}-{seeds.derive(INSIDE_VERSION, p.seed, data_hash):016x}"


def pairs_key(p: Params, data_hash: str) -> str:
    """Identifies the pairs: trainings that differ in other parameters share them."""
    of = p.inside
    made_of = (INSIDE_VERSION, p.seed, data_hash, of.clips_per_person, of.num_pairs, of.first_share)
    return f"{seeds.derive(*made_of):016x}-pairs"


def summary(p: Params, about: Mapping[str, Any]) -> str:
    pairs_made = about["data"]["train"]["pairs"]
    return f"{p.inside.num_steps} steps on {pairs_made} pairs; unseen people: {measure.summary(about['figures'])}"


def _people(sources: Iterable[Source], made: People) -> dict[str, Any]:
    """The people of the first data folder by name, the number of further ones, of clips and of pairs."""
    folder_of = {source.person: source.folder for source in sources}
    used = [person for person in made if person in folder_of]
    if lost := sorted(folder_of.keys() - made.keys()):
        say(f"inside: no pair of {', '.join(lost[:10])}: their mouths do not open and close, or cannot be read")
    return {
        "people": sorted(person for person in used if folder_of[person] == 0),
        "further_people": sum(folder_of[person] > 0 for person in used),
        "clips": sum(source.person in made for source in sources),
        "pairs": sum(len(of) for of in made.values()),
    }


def made_by(p: Params) -> dict[str, Any]:
    """What the JSON beside the weights says of the code."""
    return {
        "what": "the mouth's inside, painted into a warped picture: model/inside.py",
        "seed": p.seed,
        "version": INSIDE_VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
