"""Where a training goes on from: its states under .cache/train/<key>/, and which training a state belongs to.

state.pt   the last one, from which a run that was stopped goes on, bit for bit
good.pt    the last one made while no alarm's condition held: the same file, or an older one

LIPGAN_STATE   a state file to begin with, from another machine say; one of another training is refused by name
"""

import os
import shutil
from pathlib import Path
from typing import Any

from model import seeds
from model.params import Params
from tasks.core import config, files, paths
from tasks.core.errors import UserError
from tasks.inference import checkpoints

TRAIN_VERSION = 4  # raise it when the same parameters train to other weights
KEPT_STATES = 3  # states of other parameters, so that going back to them goes on where they were

State = dict[str, Any]


def identity(p: Params) -> dict[str, Any]:
    """All that decides the weights, name -> value; how long a run may take does not."""
    values = config.flat({"train": config.as_dict(p.train), "model": config.as_dict(p.model)})
    del values["train.time_limit_s"]
    values |= {"seed": p.seed, "faces.size": p.faces.size, "the trainer's version": TRAIN_VERSION}
    return values | {"the index's md5": files.md5_file(paths.INDEX) if paths.INDEX.is_file() else ""}


def training_key(p: Params) -> str:
    """Another training never goes on from this one's state: it has another key, and so another folder."""
    return f"{seeds.derive(*sorted(identity(p).items())):016x}"


class States:
    def __init__(self, p: Params) -> None:
        self.identity = identity(p)
        self.last = paths.cache() / "train" / training_key(p) / "state.pt"
        self.good = self.last.with_name("good.pt")

    def load(self) -> State | None:
        """The state to go on from; None at the very start.  Errors: UserError for a state of another training."""
        self._forget_what_was_cut_off()
        given = os.environ.get("LIPGAN_STATE", "")
        path = Path(given) if given and not self.last.is_file() else self.last
        if given and not path.is_file():
            raise UserError(f"LIPGAN_STATE: {given}: no such file")
        state = checkpoints.load_state(path)
        if state is not None:
            self._demand_mine(state, path)
            if state["good"] and path == self.last:
                self._link_good()  # the process may have ended between the two
        return state

    def load_good(self) -> State | None:
        return checkpoints.load_state(self.good)

    def save(self, state: State, *, good: bool) -> None:
        checkpoints.save_state(self.last, state | {"identity": self.identity, "good": good})
        if good:
            self._link_good()

    def forget_others(self) -> None:
        """Keep the states of the last few trainings, by time of use."""
        others = sorted(
            (file for file in self.last.parents[1].glob("*/state.pt") if file != self.last),
            key=lambda file: file.stat().st_mtime,
        )
        for file in others[: -KEPT_STATES or None]:
            shutil.rmtree(file.parent)

    def _demand_mine(self, state: State, path: Path) -> None:
        there, here = state["identity"], self.identity
        other = [
            f"{name} {there.get(name, 'unknown')} there, {here.get(name, 'unknown')} here"
            for name in sorted(there.keys() | here.keys())
            if there.get(name) != here.get(name)
        ]
        if other:
            raise UserError(f"{path}: a state of another training: {'; '.join(other)}")

    def _link_good(self) -> None:
        """good.pt becomes the file that state.pt now is; state.pt is replaced later, never written over."""
        partial = self.last.with_name(".good.pt.partial")
        partial.unlink(missing_ok=True)
        try:
            os.link(self.last, partial)
        except OSError:  # a file system without links
            shutil.copyfile(self.last, partial)
        os.replace(partial, self.good)

    def _forget_what_was_cut_off(self) -> None:
        """Half-written states of a process that was killed."""
        for scratch in self.last.parent.glob(f".{self.last.name}.*"):
            shutil.rmtree(scratch)
