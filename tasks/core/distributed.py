"""The processes of one training: started by torchrun, or the only one.

    torchrun --nproc-per-node 2 -m tasks.train

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK and where to meet; each process takes the GPU of its LOCAL_RANK, or a share
of the CPU. Only the first writes files, tracks and shows. What must not wait for a GPU (stop now? which state?) goes
through gloo, gradients on GPUs through nccl.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from model.distributed import num_ranks, rank
from tasks.core.errors import UserError

T = TypeVar("T")
WAIT = timedelta(minutes=30)  # for a rank that writes or reads a state; then the others stop with an error


@contextmanager
def together(device: torch.device) -> Iterator[torch.device]:
    """Meet the other ranks, if there are any; yields this rank's device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    backend = "gloo"
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if device.index >= torch.cuda.device_count():
            raise UserError(
                f"rank {os.environ['RANK']} wants GPU {device.index}, there are {torch.cuda.device_count()} here: "
                "lower torchrun's --nproc-per-node"
            )
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=WAIT)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def first() -> bool:
    """Whether this process is the one that writes, tracks and shows."""
    return rank() == 0


def first_of_all() -> bool:
    """The same before the ranks have met and after they parted."""
    return os.environ.get("RANK", "0") == "0"


def num_here() -> int:
    """Ranks on this machine, which share its memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if num_ranks() > 1 else 1


def from_first(make: Callable[[], T]) -> T:
    """What the first rank's `make` gives, on every rank. Its UserError is every rank's."""
    if num_ranks() == 1:
        return make()
    box: list[Any] = [None, None]
    if first():
        try:
            box[0] = make()
        except UserError as error:
            box[1] = str(error)
    dist.broadcast_object_list(box, src=0)
    if box[1] is not None:
        raise UserError(box[1])
    value: T = box[0]
    return value


def any_of(word: str) -> str:
    """What some rank has to say, the same answer on all; "" where none says anything.

    Asked at every step, and one small message of the CPU's: no rank waits for its GPU.
    """
    if num_ranks() == 1:
        return word
    asked = torch.tensor([bool(word)], dtype=torch.int32)
    dist.all_reduce(asked, op=dist.ReduceOp.MAX)
    if not asked.item():
        return ""
    words: list[Any] = [None] * num_ranks()
    dist.all_gather_object(words, word)
    return max(words)
