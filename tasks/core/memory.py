"""How much memory is free, and one line instead of a traceback when it runs out."""

import ctypes
import ctypes.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tasks.core.errors import UserError

MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")  # of torch's allocators


def free_bytes(device: torch.device) -> int:
    """Free memory of a GPU, or available memory of this machine."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) << 10
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def explain_out_of_memory(device: torch.device, settings: str) -> Iterator[None]:
    """Running out of memory within the block becomes a UserError that names the settings to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in MESSAGES):
            raise
        raise UserError(
            f"out of memory on {device.type} ({free_bytes(device) / 1e9:.1f} GB free): lower {settings}, or "
            "LIPGAN_CLIP_MEMORY_MB and LIPGAN_PREFETCH"
        ) from error


def give_back() -> None:
    """Return freed memory to the system. glibc keeps what several threads free in pieces, frames of megabytes among
    them: a video of ten minutes would end with twice the memory it needs. Does nothing without glibc.
    """
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
