"""A training that is killed with SIGKILL at random points, again and again, and resumed each time.

    python killed.py FOLDER SEED NUM_KILLS      prints one line a kill; FOLDER then holds what the last start wrote

Every start is a fork of this process, which has imported everything and computed nothing. It kills itself, so that the
points are exact: before a step (in the middle of an epoch or not), with half of a state written, with a whole one not
yet in its place, and with the state in place but not yet called good.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from tasks.core import config
from tasks.inference import checkpoints
from tasks.train import stage as train
from tasks.train.loop import Trainer
from tasks.train.state import States

KINDS = ("before a step", "half of a state", "a state beside its place", "a state not yet called good")


def main(folder: str, seed: int, num_kills: int) -> None:
    os.chdir(folder)
    torch.set_num_threads(1)
    p = config.load(Path("params.yaml"))
    rng = np.random.default_rng(seed)
    steps = np.sort(rng.integers(0, p.train.num_steps, num_kills))
    kinds = [KINDS[k % len(KINDS)] for k in rng.permutation(num_kills)]
    for step, kind in zip(steps, kinds, strict=True):
        status = start(p, int(step), kind)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (kind, step, status)
        sys.stdout.write(f"killed: {kind}, step {step}\n")
        sys.stdout.flush()
    assert start(p) == 0


def start(p, step=0, kind=""):
    if child := os.fork():
        return os.waitpid(child, 0)[1]
    if kind:
        arrange(step, kind)
    train.run(p)
    os._exit(0)


def arrange(step, kind):
    """Have this process kill itself at the first such point from `step` on."""
    take, save, link = Trainer._next, checkpoints.save_state, States._link_good

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def dying_next(self, batches):
        if self.step >= step:
            die()
        return take(self, batches)

    def dying_save(path, state):
        if state["step"] < step:
            return save(path, state)
        whole = torch.save

        def half(state, file):
            whole(state, file)
            if kind == KINDS[1]:
                file.truncate(file.tell() // 2)
            file.flush()
            die()

        torch.save = half
        return save(path, state)

    def dying_link(self):
        if checkpoints.load_state(self.last)["step"] >= step:
            die()
        link(self)

    if kind == KINDS[0]:
        Trainer._next = dying_next
    elif kind == KINDS[3]:
        States._link_good = dying_link
    else:
        checkpoints.save_state = dying_save


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
