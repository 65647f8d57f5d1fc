"""Memory that was freed, given back to the system."""

import ctypes
import ctypes.util


def give_back() -> None:
    """glibc keeps what several threads free in pieces, frames of megabytes among them: a film of ten minutes would end
    with twice the memory it needs. Where there is no glibc nothing is done.
    """
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
