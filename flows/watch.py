"""Workers that die or hang: one line that names their item, instead of a traceback or an endless wait.

LIPGAN_STALL_S   a worker that uses almost no processor time for this many seconds is killed; default 600, 0: never.
                 Processor time, because a healthy worker may be slow on a busy machine. Its clip is not refused
                 automatically, because then the bytes would depend on the machine.
"""

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.core import progress
from tasks.core.errors import UserError
from tasks.core.stopping import stall_s

LEAST_SHARE = 1e-3  # of a core; a worker that uses less makes no progress
LOOK_S, FIRST_LOOK_S = (
    0.5,
    0.05,
)  # between two checks; a death is noticed at once, a new worker at the next check
VERDICT_S = 5.0  # for the watch to notice what the pool has noticed


class WorkerWatch:
    """Watches the child processes while it is open.  notes: the folder in which they note their current item"""

    def __init__(self) -> None:
        self._stall_s = stall_s()
        self._folder = tempfile.TemporaryDirectory(prefix="lipgan-workers-")
        self.notes = Path(self._folder.name)
        self._over, self._decided = threading.Event(), threading.Event()
        self._verdict: tuple[str, str, str] | None = None  # what happened, at which item if it was noted, what to do
        self._since: dict[int, tuple[float, float, str]] = {}  # pid -> when, processor time until then, item
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._folder.cleanup()

    def error(self, unit: str) -> UserError:
        """The error for the user when the pool broke while it waited for `unit`."""
        self._decided.wait(VERDICT_S)
        what, at, advice = self._verdict or ("a worker process died", "", "is memory short? Try LIPGAN_WORKERS=1")
        return UserError(f"{what} at {at or unit}; {advice}. Finished work is kept, the same command resumes")

    def _look(self) -> None:
        children: dict[int, BaseProcess] = {}
        while not self._over.is_set():
            children |= {child.pid: child for child in multiprocessing.active_children() if child.pid}
            if not children:
                self._over.wait(FIRST_LOOK_S)
                continue
            wait([child.sentinel for child in children.values()], timeout=LOOK_S)
            for pid, child in list(children.items()):
                if child.exitcode is None:
                    self._demand_progress(pid, child)
                else:
                    self._died(pid, child.exitcode)
                    del children[pid]

    def _died(self, pid: int, status: int) -> None:
        if status in (0, -signal.SIGTERM):  # SIGTERM is how the pool ends the others
            return
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        killed = "a system short of memory does that, try LIPGAN_WORKERS=1"
        advice = killed if status == -signal.SIGKILL else "if it happens again, take that out of the corpus"
        self._say(f"a worker process {how}", progress.noted(self.notes, pid), advice)

    def _demand_progress(self, pid: int, child: BaseProcess) -> None:
        at, now_s, used_s = progress.noted(self.notes, pid), time.monotonic(), cpu_s(pid)
        since_s, used_then_s, at_then = self._since.get(pid, (now_s, used_s, at))
        if not at or at != at_then or used_s - used_then_s > LEAST_SHARE * self._stall_s or not self._stall_s:
            since_s, used_then_s = now_s, used_s
        self._since[pid] = since_s, used_then_s, at
        if now_s - since_s > self._stall_s > 0:
            what = f"a worker process made no progress for {self._stall_s:g} s (LIPGAN_STALL_S) and was killed"
            self._say(what, at, "if it happens again, take that out of the corpus")
            child.kill()

    def _say(self, what: str, at: str, advice: str) -> None:
        self._verdict = self._verdict or (what, at, advice)
        self._decided.set()


def cpu_s(pid: int) -> float:
    """Processor time of a process and its threads so far; wall-clock time where the system does not provide it."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
