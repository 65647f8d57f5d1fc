"""The lip refiner's training: real mouths with reference points and rendered ones with true points -> released weights.

reads   GRID clips and their reference (tasks/lips/reference.py); heads are rendered by tasks/synthetic
writes  released/lips.safetensors (float16), released/lips.json: data, people, licences, hashes, metrics

    python -m tasks.lips --grid FOLDER

People in reference.VAL and TEST, and the rendered people measured on, are not trained on; VAL decides the opening's
gain. The same machine, input and arguments give the same bytes. With the settings below it takes about 10 minutes on
one free core.
"""

import hashlib
import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from model import lips
from model.ema import Average
from model.lips import LipNet
from tasks.core.files import all_or_nothing, write_atomic
from tasks.features import lip_refiner, mesh_model
from tasks.features.lip_refiner import LipRefiner
from tasks.lips import augment, measure, reference, rendered
from tasks.lips.examples import Examples

log = logging.getLogger(__name__)

SEED = 13
# source -> share of a batch. A person with one clip has half the weight of one with hundreds: there is less to learn
RENDERED = "rendered"
SHARES = {"s1": 0.15, "s4": 0.15, "s16": 0.07, "s25": 0.07, "p01": 0.07, "p02": 0.07, RENDERED: 0.42}
assert set(SHARES) == {*reference.TRAIN, RENDERED}
MOST_OF_ONE = 3000  # mouths per person, about
# This share of the examples is drawn evenly over steps of the opening: wide mouths are rare, and were read too narrow
EVENLY, OPENING_STEP, NUM_OPENINGS, LEAST_SHARE = 0.5, 0.02, 11, 0.02  # eye distances; of a source's mouths in a step
NUM_HEADS, NUM_MEASURED = 500, 60  # rendered people to train on; further people to measure on
NUM_STEPS, BATCH = 3000, 48
RATE, LEAST_RATE, WARMUP, DECAY, MOST_GRADIENT = 3e-3, 1e-5, 100, 1e-2, 1.0
AVERAGED = 0.995
LOG_EVERY = 100
MOST_CLIPS = 10  # per measured person

GRID = "GRID audiovisual sentence corpus, M. Cooke, J. Barker, S. Cunningham, X. Shao (2006), CC BY 4.0"


def run(folder: Path, out: Path, num_steps: int = NUM_STEPS, num_heads: int = NUM_HEADS) -> str:
    """Train, write the weights, measure.  Errors: UserError if the folder is incomplete."""
    for person in (*reference.TRAIN, *reference.VAL, *reference.TEST):
        reference.clips(folder, person)  # fail before the long work
    sources = {person: reference.load(folder, person, MOST_OF_ONE) for person in reference.TRAIN}
    sources[RENDERED] = rendered.load(SEED, 0, num_heads)
    log.info("mouths: %s", ", ".join(f"{name} {len(examples)}" for name, examples in sources.items()))
    net = train(sources, num_steps)
    _save(net, out)
    net.gain.fill_(1 / _measured(folder, reference.VAL, LipRefiner(out))["mean"]["opening_amplitude"])
    _save(net, out)
    about = _about(folder, out, sources, num_steps, num_heads)
    write_atomic(out.with_suffix(".json"), json.dumps(about, indent=2) + "\n")
    unseen = about["metrics"]["test"]["mean"]
    return f"{out}: opening r {unseen['opening_r']:.3f}, amplitude {unseen['opening_amplitude']:.2f} on unseen people"


def train(sources: dict[str, Examples], num_steps: int) -> LipNet:
    """Train; returns the moving average of the weights."""
    torch.manual_seed(SEED)
    rng, choice = torch.Generator().manual_seed(SEED), np.random.default_rng(SEED)
    chances = {name: opening_chances(examples) for name, examples in sources.items()}
    net = LipNet().to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    average = Average(net, AVERAGED)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    total = 0.0
    for step in range(num_steps):
        for group in optimiser.param_groups:
            group["lr"] = _rate(step, num_steps)
        crops, mesh, truth = augment.batch(_picked(sources, chances, choice), rng)
        loss = lips.loss(net(crops.contiguous(memory_format=torch.channels_last), mesh), truth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), MOST_GRADIENT)
        optimiser.step()
        average.update()
        total += loss.item()
        if (step + 1) % LOG_EVERY == 0:
            log.info("step %d of %d: loss %.4f", step + 1, num_steps, total / LOG_EVERY)
            total = 0.0
    return average.network


def _rate(step: int, num_steps: int) -> float:
    falling = (1 + math.cos(math.pi * step / num_steps)) / 2
    return max(LEAST_RATE, RATE * falling) * min(1.0, (step + 1) / WARMUP)


def opening_chances(examples: Examples) -> np.ndarray:
    """Chance of each mouth of a source, EVENLY over its openings.  Shape: -> (N,), sum 1"""
    opening_N = measure.opening(examples.truth_N402)
    step_N = np.clip(opening_N / OPENING_STEP, 0, NUM_OPENINGS - 1).astype(int)
    rarity_N = 1 / np.maximum(np.bincount(step_N), LEAST_SHARE * len(step_N))[step_N]
    return EVENLY * rarity_N / rarity_N.sum() + (1 - EVENLY) / len(step_N)


def _picked(sources: dict[str, Examples], chances: dict[str, np.ndarray], choice: np.random.Generator) -> Examples:
    """A batch: each example is from a source drawn by its share, then a mouth of it by its chance."""
    names = list(SHARES)
    shares = np.array([SHARES[name] for name in names])
    picked = []
    for number in choice.choice(len(names), BATCH, p=shares / shares.sum()):
        source = sources[names[number]]
        at = slice(start := int(choice.choice(len(source), p=chances[names[number]])), start + 1)
        picked.append(Examples(source.crops_NSS3[at], source.mesh_N402[at], source.truth_N402[at]))
    return Examples.joined(picked)


def _save(net: LipNet, out: Path) -> None:
    with all_or_nothing(out) as partial:
        partial.write_bytes(_stored(net))


def _stored(net: LipNet) -> bytes:
    state = {name: value.half() if value.is_floating_point() else value for name, value in net.state_dict().items()}
    return save({name: value.contiguous() for name, value in state.items()})


def _about(folder: Path, out: Path, sources: dict[str, Examples], num_steps: int, num_heads: int) -> dict[str, Any]:
    refiner = LipRefiner(out)
    groups = {"train": reference.TRAIN, "val": reference.VAL, "test": reference.TEST}
    return {
        "what": "lip refiner for MediaPipe's face mesh: moves its 40 lip points (model/lips.py)",
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "command": f"python -m tasks.lips --grid FOLDER --steps {num_steps} --heads {num_heads}",
        "licence": "CC BY 4.0",
        "attribution": [
            f"trained on clips of the {GRID}",
            "and on rendered heads",
            f"lip points of reference: {mesh_model.ATTRIBUTION}, 0.10.21 with attention, Apache-2.0",
        ],
        "mesh": {"file": mesh_model.NAME, "sha256": mesh_model.SHA256, "licence": mesh_model.LICENCE},
        "people": {name: list(people) for name, people in groups.items()},
        "mouths": {name: len(examples) for name, examples in sources.items()},
        "settings": {"seed": SEED, "steps": num_steps, "batch": BATCH, "heads": num_heads, "shares": SHARES},
        "opening_gain": round(float(lip_refiner.load(out).gain), 4),
        "metrics": {
            **{name: _measured(folder, people, refiner) for name, people in groups.items()},
            "test_of_the_mesh_alone": _measured(folder, reference.TEST, None),
            RENDERED: measure.rendered_heads(SEED, num_heads, NUM_MEASURED, refiner).as_json(),
        },
    }


def _measured(folder: Path, people: tuple[str, ...], refiner: LipRefiner | None) -> dict[str, dict[str, float]]:
    rows = measure.people(folder, people, refiner, MOST_CLIPS)
    return {**{name: row.as_json() for name, row in rows.items()}, "mean": measure.mean([*rows.values()]).as_json()}
