"""How much memory there is, and one line instead of a traceback where there is too little."""

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
    """What can still be taken: of a GPU's memory, or of this machine's."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) << 10
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextmanager
def told_when_short(device: torch.device, settings: str) -> Iterator[None]:
    """UserError that names the settings to lower, where memory runs out within the block."""
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
    """glibc keeps what several threads free in pieces, frames of megabytes among them: a film of ten minutes would end
    with twice the memory it needs. Where there is no glibc nothing is done.
    """
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
