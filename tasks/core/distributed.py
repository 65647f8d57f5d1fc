"""The processes of one training run: those that torchrun starts, or a single one.

    torchrun --nproc-per-node 2 -m tasks.train

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK and the rendezvous address; each process takes the GPU of its LOCAL_RANK, or
a share of the CPU. Only the first rank writes files, logs and shows progress. Decisions that must not wait for a GPU
(whether to stop, which state to load) go through gloo, gradients on GPUs through nccl.
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
WAIT = timedelta(minutes=30)  # for a rank that writes or reads a state; after that the others stop with an error


@contextmanager
def together(device: torch.device) -> Iterator[torch.device]:
    """Join the process group, if there are other ranks; yields this rank's device."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    backend = "gloo"
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        if device.index >= torch.cuda.device_count():
            raise UserError(
                f"rank {os.environ['RANK']} needs GPU {device.index}, this machine has {torch.cuda.device_count()}: "
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
    """Whether this rank writes files, logs and shows progress."""
    return rank() == 0


def first_process() -> bool:
    """`first`, outside the process group: before `together` and after it."""
    return os.environ.get("RANK", "0") == "0"


def num_here() -> int:
    """Ranks on this machine, which share its memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if num_ranks() > 1 else 1


def from_first(make: Callable[[], T]) -> T:
    """The result of the first rank's `make`, on every rank. Its UserError is raised on every rank."""
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


def any_of(text: str) -> str:
    """The text of a rank whose text is not empty, the same on all ranks; "" if there is none.

    Called at every step. It costs one small message on the CPU: no rank waits for its GPU.
    """
    if num_ranks() == 1:
        return text
    any_text = torch.tensor([bool(text)], dtype=torch.int32)
    dist.all_reduce(any_text, op=dist.ReduceOp.MAX)
    if not any_text.item():
        return ""
    texts: list[Any] = [None] * num_ranks()
    dist.all_gather_object(texts, text)
    return max(texts)
