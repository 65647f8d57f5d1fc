"""The processes of one training run: those that torchrun starts, on one machine or several, or a single one.

    torchrun --nproc-per-node 2 -m tasks.train

torchrun sets RANK, WORLD_SIZE, LOCAL_RANK and the rendezvous address; each process takes the GPU of its LOCAL_RANK, or
a share of the CPU. Only the first rank writes results, logs and shows progress; states are also kept on every machine
that does not see its folder. Decisions that must not wait for a GPU (whether to stop, which state to load) go through
gloo, gradients on GPUs through nccl.

LIPGAN_STALL_S   how long a process waits for the others; default 600, 0: for a month
"""

import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from model.distributed import num_ranks, rank
from tasks.core.errors import Outage, UserError
from tasks.core.stopping import stall_s

T = TypeVar("T")
NEVER = timedelta(days=30)
SEEN_S = 3.0  # for a folder made on another machine to be seen, over a network
LOST = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")  # in torch's errors


@contextmanager
def together(device: torch.device) -> Iterator[torch.device]:
    """Join the process group, if there are other ranks; yields this rank's device.

    Errors: Outage if another rank ends, or does not answer for LIPGAN_STALL_S
    """
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
    wait_s = stall_s()
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=wait_s) if wait_s else NEVER)
        yield device
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(words in str(error) for words in LOST):
            raise
        raise Outage(
            f"{socket.gethostname()}: another process of the training ended, or did not answer for {wait_s:g} s "
            "(LIPGAN_STALL_S): its own line says why, or its machine or network is gone. The last state is kept, the "
            "same command resumes"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def first() -> bool:
    """Whether this rank writes results, logs and shows progress."""
    return rank() == 0


def first_process() -> bool:
    """`first`, outside the process group: before `together` and after it."""
    return os.environ.get("RANK", "0") == "0"


def first_here() -> bool:
    """Whether this is the first process of its machine; also outside the process group."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def num_here() -> int:
    """Ranks on this machine, which share its memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if num_ranks() > 1 else 1


def keeps(folder: Path) -> bool:
    """Whether this rank keeps what belongs into `folder`: the first rank, and the first of every other machine that
    does not see the first rank's folder.
    """
    if num_ranks() == 1:
        return True
    folder.mkdir(parents=True, exist_ok=True)
    probe = tempfile.TemporaryDirectory(dir=folder, prefix=".rank0.") if first() else None
    name = Path(from_first(lambda: probe.name if probe else "")).name
    own = first() or (first_here() and not _seen(folder / name))
    dist.barrier()
    if probe:
        probe.cleanup()
    return own


def _seen(place: Path) -> bool:
    deadline = time.monotonic() + SEEN_S
    while not (seen := place.is_dir()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return seen


def from_first(make: Callable[[], T]) -> T:
    """The result of the first rank's `make`, on every rank. Its UserError is raised on every rank."""
    return newest(lambda: make() if first() else None, lambda made: 0)  # type: ignore[return-value]


def newest(make: Callable[[], T | None], age: Callable[[T], Any]) -> T | None:
    """Of the ranks' results the one of the highest age, on every rank; None if no rank has one.

    A UserError of any rank is raised on every rank.
    """
    made, error = None, ""
    try:
        made = make()
    except UserError as caught:
        if num_ranks() == 1:
            raise
        error = str(caught)
    if num_ranks() == 1:
        return made
    about = gathered((error, None if made is None else age(made)))
    if errors := [error for error, _ in about if error]:
        raise UserError(errors[0])
    ages = [age for _, age in about]
    source = max((k for k, age in enumerate(ages) if age is not None), key=lambda k: (ages[k], -k), default=None)
    if source is None:
        return None
    box: list[Any] = [made if rank() == source else None]
    dist.broadcast_object_list(box, src=source)
    value: T = box[0]
    return value


def gathered(mine: T) -> list[T]:
    """Every rank's value, in the order of ranks, on every rank."""
    all_of: list[Any] = [None] * num_ranks()
    dist.all_gather_object(all_of, mine)
    return all_of


def demand_same(facts: Mapping[str, Any]) -> None:
    """Errors: UserError on every rank if what decides the result differs between machines"""
    if num_ranks() == 1:
        return
    hosts = gathered((socket.gethostname(), dict(facts)))
    name, there = hosts[0]
    for other, facts_there in hosts[1:]:
        if differences := [
            f"{fact} {facts_there.get(fact)} there, {value} on {name}"
            for fact, value in there.items()
            if facts_there.get(fact) != value
        ]:
            raise UserError(f"{other} would train something else than {name}: {'; '.join(differences)}")


def any_of(text: str) -> str:
    """The text of a rank whose text is not empty, the same on all ranks; "" if there is none.

    Called at every step. It costs one small message on the CPU: no rank waits for its GPU.
    """
    if num_ranks() == 1:
        return text
    any_text = torch.tensor([bool(text)], dtype=torch.int32)
    dist.all_reduce(any_text, op=dist.ReduceOp.MAX)
    return max(gathered(text)) if any_text.item() else ""
