"""Requests that a long stage stop at a point from which it can resume: SIGTERM, one Ctrl-C, or a time limit.

Preemptible machines send SIGTERM some seconds before they stop. A second Ctrl-C ends the process at once.

LIPGAN_STALL_S   how long others wait for a process that does not go on; default 600, 0: for ever
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tasks.core.errors import UserError


class Stop:
    """A pending request. `why` is "" until there is a reason to stop."""

    def __init__(self, time_limit_s: float, what_limits: str) -> None:
        self._began_s, self._limit_s, self._what = time.monotonic(), time_limit_s, what_limits
        self._signal = ""

    @property
    def why(self) -> str:
        if not self._signal and self._limit_s and time.monotonic() - self._began_s >= self._limit_s:
            return self._what
        return self._signal

    def ask(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number).name
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def stoppable(time_limit_s: float = 0.0, what_limits: str = "the time limit") -> Iterator[Stop]:
    """Within the block, signals request a stop; afterwards their handlers are restored. 0 s: no time limit.

    Outside the main thread Python cannot handle signals, and only the time limit counts.
    """
    stop = Stop(time_limit_s, what_limits)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stall_s() -> float:
    """LIPGAN_STALL_S in seconds."""
    text = os.environ.get("LIPGAN_STALL_S", "600")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"LIPGAN_STALL_S must be a number of seconds from 0, got {text!r}")
    return seconds
