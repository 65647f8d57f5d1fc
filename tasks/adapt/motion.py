"""Adapts the released motion network to a person: its weights to their articulation, its shapes, gains and range.

    python -m flows person adapt "Anna"

reads   the meshes and sound features of data/persons/<person>
writes  motion.safetensors and its JSON there, if it is better than the released network; adapted.json either way

Of the pieces (a short clip, or 15 s of a longer one) every fifth is held back. Of these, the first, third, ... set the
gains; on the second, fourth, ... the network must not be worse than the released one, or that one stays.
"""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from model.motion import Motion, MotionNet, Shapes
from tasks.adapt.clips import Material, material
from tasks.core import files, json_files, names
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.progress import bar, say
from tasks.inference import motion_weights
from tasks.motion import measure
from tasks.motion.batches import MotionClip, Pieces
from tasks.motion.loop import MotionTrainer
from tasks.persons import store
from tasks.persons.store import Person

ADAPT_VERSION = 1  # raise it when the same footage gives another network
NUM_STEPS, LR, WARMUP_STEPS = 300, 1e-3, 20  # measured: python -m benchmarks.person
EVERY = 5  # of the pieces, one is held back
LEAST_PIECES = 2 * EVERY
SAME, NEAR = 0.01, 0.1  # of correlation: as good; of log amplitude: as good as 1
KINDS = {
    "tuned": "the network tuned to the person",
    "gains": "the released network with the person's gains and range",
    "released": "the released network, unchanged",
}

Figures = dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """kind: of KINDS.  before, after: of the released network and of the chosen one, on the pieces that judge"""

    kind: str
    motion: Motion
    before: Figures
    after: Figures


def adapt(name: str) -> str:
    """Adapt the released network to a person, with what is kept of their footage; returns a line to print.

    Errors: UserError if there is no such person, or too little footage in which they are heard
    """
    with store.alone(name):
        person, base = store.find(name), motion_weights.load(motion_weights.RELEASED)
        found = material(person, base)
        if len(found.clips) < LEAST_PIECES:
            raise UserError(
                f"person {person.name}: {len(found.clips)} pieces of footage with their voice, {found.seconds:.0f} s; "
                f"adapting needs {LEAST_PIECES} (a clip, or 15 s of a longer one), better 10 minutes"
                + (f"; in {found.left_out} others the mouth does not go with the voice" if found.left_out else "")
            )
        outcome = chosen(base, found.clips)
        _save(person, found, outcome)
    after, before = outcome.after, outcome.before
    return (
        f"person {person.name}: {KINDS[outcome.kind]}; on footage held back: opening r {before['opening_r']:.3f} -> "
        f"{after['opening_r']:.3f}, amplitude {before['amplitude']:.2f} -> {after['amplitude']:.2f} "
        f"({found.seconds / 60:.1f} minutes)"
    )


def held_back(clips: Sequence[MotionClip]) -> tuple[list[MotionClip], list[MotionClip], list[MotionClip]]:
    """(to learn from, to set gains by, to judge by)"""
    held = list(clips[EVERY - 1 :: EVERY])
    return [clip for k, clip in enumerate(clips) if k % EVERY != EVERY - 1], held[::2], held[1::2]


def chosen(base: Motion, clips: Sequence[MotionClip]) -> Outcome:
    """The best of the tuned network, the base with new gains, and the base, in this order, that is not worse."""
    learn, gains, judge = held_back(clips)
    size_of = {clip.person: 1.0 for clip in clips}  # the person's own size, not the average person's
    before = figures(base, judge)
    outcome = Outcome("released", base, before, before)
    for kind in ("gains", "tuned"):
        motion = measure.calibrated(tuned(base, learn) if kind == "tuned" else base, gains, size_of)
        after = figures(motion, judge)
        if not_worse(after, outcome.after):
            outcome = Outcome(kind, motion, before, after)
    return outcome


def figures(motion: Motion, clips: Sequence[MotionClip]) -> Figures:
    """Means of tasks.motion.measure.compared over the clips."""
    rows = [measure.compared(measure.said_opening(motion, clip), clip.opening_T) for clip in clips]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def not_worse(new: Figures, old: Figures) -> bool:
    """In the correlation of the opening, and in how far the amplitude is from 1."""
    off, off_before = (abs(np.log(max(of["amplitude"], 1e-3))) for of in (new, old))
    return bool(new["opening_r"] >= old["opening_r"] - SAME and off <= max(off_before, NEAR))


def tuned(base: Motion, clips: Sequence[MotionClip]) -> Motion:
    """The network trained further on the person, in the person's own shapes; without gains."""
    p = replace(base.p, num_steps=NUM_STEPS, lr=LR, warmup_steps=WARMUP_STEPS)
    trainer = MotionTrainer(Pieces(clips, p, seed=0), p, seed=0)
    shapes = trainer.pieces.shapes
    start = in_shapes(base.net, base.shapes, shapes)
    trainer.net.load_state_dict(start)
    trainer.average.network.load_state_dict(start)
    with bar(NUM_STEPS, "adapting", "step") as progress:
        for trainer.step in range(NUM_STEPS):
            trainer.train_step()
            progress.update()
    return Motion(trainer.average.network, shapes, p)


def in_shapes(net: MotionNet, of: Shapes, to: Shapes) -> dict[str, torch.Tensor]:
    """The weights of a network that predicts the components `to`, from one that predicts the components `of`."""
    change_KK = torch.from_numpy(((of.scale_K[:, None] * of.basis_KD) @ to.basis_KD.T / to.scale_K).astype(np.float32))
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    weights["last.0.weight"] = torch.einsum("kwi,kj->jwi", weights["last.0.weight"], change_KK)
    weights["last.0.bias"] = weights["last.0.bias"] @ change_KK
    return weights


def _save(person: Person, found: Material, outcome: Outcome) -> None:
    store.drop_network(person)
    released = json_files.read(motion_weights.RELEASED.with_suffix(".json"))
    record: dict[str, Any] = {
        "version": ADAPT_VERSION,
        "person": person.name,
        "kind": outcome.kind,
        "date": datetime.date.today().isoformat(),
        "seconds": found.seconds,
        "pieces": len(found.clips),
        "left_out": found.left_out,
        "sound_late_frames": found.late,
        "videos": [video.sha256 for video in found.videos],
        "consent_sha256": [one.sha256 for one in person.consent],
        "released_sha256": files.sha256_file(motion_weights.RELEASED),
        "figures": {"released": outcome.before, "adapted": outcome.after},
    }
    if outcome.kind != "released":
        rights = {name: released[name] for name in ("licence", "attribution") if name in released}
        about = record | rights | {"what": "sound to the mouth's motion of one person: tasks/adapt/motion.py"}
        about.pop("date")  # same footage, same bytes
        motion_weights.save(person.folder / store.MOTION, outcome.motion, names.valid(about))
    else:
        say(
            f"person {person.name}: what was learned is not better on the footage held back; the released network stays"
        )
    write_atomic(person.folder / store.ADAPTED, json.dumps(names.valid(record), indent=2) + "\n")
