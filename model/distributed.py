"""Reductions over the processes that train one network. In a single process every function here changes nothing.

Each process, a rank, has its own part of the global batch, and all parts have one size, so the mean over the ranks'
means is the mean over the batch. Weights and optimisers stay equal on all ranks without ever being sent: all ranks
start from one seed and step on the same averaged gradients. DistributedDataParallel does not fit, because one forward
pass of the generator serves two backward passes here and nn.SyncBatchNorm does not run on a CPU.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def num_ranks() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if num_ranks() > 1 else 0


def mean(values: Tensor) -> Tensor:
    """Mean over ranks of a tensor that has the same shape on each; gradients flow through it to every rank."""
    if num_ranks() == 1:
        return values
    return _Sum.apply(values) / num_ranks()


class _Sum(torch.autograd.Function):
    """Sum over ranks. Each rank's input moves every rank's result, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: object, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:  # type: ignore[override]  # torch's stub takes any number
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replace every tensor by its mean over ranks, in place; one message for all of them.

    Errors: torch's, if the ranks' tensors differ in number or size.
    """
    if num_ranks() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= num_ranks()
    at = 0
    for tensor in tensors:
        tensor.copy_(flat[at : at + tensor.numel()].view(tensor.shape))
        at += tensor.numel()
