"""Saved states of a training under .cache/train/<key>/, and which training a state belongs to.

state.pt   the last one, from which an interrupted run resumes bit for bit
good.pt    the last one saved while no alarm's condition held: the same file, or an older one

LIPGAN_STATE   a state file to start from, e.g. from another machine; a state of another training is refused
"""

import os
import shutil
from pathlib import Path
from typing import Any

from model import seeds
from model.params import Params
from tasks.core import config, files, paths
from tasks.core import distributed as ranks
from tasks.core.errors import UserError
from tasks.inference import checkpoints
from tasks.loading import streaming

TRAIN_VERSION = 4  # raise it when the same parameters train to other weights
KEPT_STATES = 3  # states of other parameters, so that returning to those resumes

State = dict[str, Any]


def identity(p: Params) -> dict[str, Any]:
    """Everything that decides the weights, name -> value; the time limit does not.

    The keys are hashed into the folder's name and stored in states: renaming one loses the trainings begun before.
    """
    values = config.flat({"train": config.as_dict(p.train), "model": config.as_dict(p.model.network)})
    del values["train.time_limit_s"]
    values |= {"seed": p.seed, "faces.size": p.faces.size, "the trainer's version": TRAIN_VERSION}
    values |= streaming.facts()
    return values | {"the index's md5": files.md5_file(paths.INDEX) if paths.INDEX.is_file() else ""}


def age(state: State) -> tuple[int, int]:
    """The higher, the later in the same training."""
    return state["rollbacks"], state["step"]


def training_key(p: Params) -> str:
    """The folder of this training's states; other parameters, data or code version give another one."""
    return f"{seeds.derive(*sorted(identity(p).items())):016x}"


class States:
    """The states of one training on this machine.  kept: whether this process writes them, see `distributed.keeps`"""

    def __init__(self, p: Params, kept: bool = True) -> None:
        self.identity, self.kept = identity(p), kept
        self.last = paths.cache() / "train" / training_key(p) / "state.pt"
        self.good = self.last.with_name("good.pt")

    def load(self) -> State | None:
        """The state to resume from, of any machine; None for a new training.

        Errors: UserError for a state of another training.
        """
        return ranks.newest(lambda: self._load() if self.kept else None, age)

    def load_good(self) -> State | None:
        return ranks.newest(lambda: checkpoints.load_state(self.good) if self.kept else None, age)

    def _load(self) -> State | None:
        self._delete_partial_states()
        first = os.environ.get("LIPGAN_STATE", "") if ranks.first() else ""
        path = Path(first) if first and not self.last.is_file() else self.last
        if first and not path.is_file():
            raise UserError(f"LIPGAN_STATE: {first}: no such file")
        state = checkpoints.load_state(path)
        if state is not None:
            self._check_identity(state, path)
            if state["good"] and path == self.last:
                self._link_good()  # the process may have ended between saving and linking
        return state

    def save(self, state: State, *, good: bool) -> None:
        checkpoints.save_state(self.last, state | {"identity": self.identity, "good": good})
        if good:
            self._link_good()

    def delete_others(self) -> None:
        """Delete the states of other trainings except the most recently used few."""
        others = sorted(
            (file for file in self.last.parents[1].glob("*/state.pt") if file != self.last),
            key=lambda file: file.stat().st_mtime,
        )
        for file in others[: -KEPT_STATES or None]:
            shutil.rmtree(file.parent)

    def _check_identity(self, state: State, path: Path) -> None:
        there, here = state["identity"], self.identity
        differences = [
            f"{name} {there.get(name, 'unknown')} there, {here.get(name, 'unknown')} here"
            for name in sorted(there.keys() | here.keys())
            if there.get(name) != here.get(name)
        ]
        if differences:
            raise UserError(f"{path}: a state of another training: {'; '.join(differences)}")

    def _link_good(self) -> None:
        """Make good.pt a link to the present state.pt, which is later replaced, never overwritten."""
        partial = self.last.with_name(".good.pt.partial")
        partial.unlink(missing_ok=True)
        try:
            os.link(self.last, partial)
        except OSError:  # a file system without hard links
            shutil.copyfile(self.last, partial)
        os.replace(partial, self.good)

    def _delete_partial_states(self) -> None:
        """Half-written states of a process that was killed."""
        for scratch in self.last.parent.glob(f".{self.last.name}.*"):
            shutil.rmtree(scratch)
