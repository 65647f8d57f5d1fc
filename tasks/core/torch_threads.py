"""Torch on one thread, for as long as a block lasts."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on the calling thread alone. More threads sum in another order, so that bytes depend on the number of
    cores; and for a small network they cost more than they gain: each layer ends when the last of them has had a core.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
