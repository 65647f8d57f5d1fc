"""Progress of long steps: a bar with rate and time left on a terminal, a line every few seconds in a log."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from tasks.core import names

T = TypeVar("T")

Report = Callable[[str, int, int], None]  # of a bar: what it counts, how many are done, of how many
COPIED_EVERY_S = 30.0  # of a bar, in a log that is kept elsewhere

_notes: Path | None = None  # folder in which this process notes its current work
_report: Report | None = None  # gets the state of every bar, in place of the terminal
_copy: Callable[[str], None] | None = None  # gets every line too, and that of a bar now and then


class _ReportedBar(tqdm):
    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        if _report:
            _report(self.desc, self.n, self.total)
        return True


@contextmanager
def reported(report: Report) -> Iterator[None]:
    """Within this, bars are not drawn; `report` is called with their state, up to five times a second."""
    global _report
    before, _report = _report, report
    try:
        yield
    finally:
        _report = before


@contextmanager
def copied(to: Callable[[str], None]) -> Iterator[None]:
    """Within this, `to` gets every line of `say` as well, and every COPIED_EVERY_S the state of a bar."""
    global _copy
    before, _copy = _copy, to
    try:
        yield
    finally:
        _copy = before


@contextmanager
def bar(
    total: int, what: str, unit: str, initial: int = 0, scale: bool = False, hidden: bool = False
) -> "Iterator[tqdm[Any]]":
    """A bar that the caller advances: `with bar(10, "training", "step") as b: b.update()`.

    The elapsed time is refreshed between updates too: every second on a terminal, every ten in a log.
    `scale`: large numbers as 1.2G, and the rate also in a log.
    """
    on_terminal = sys.stderr.isatty() or _report is not None
    rate = ", {rate_fmt}" if scale else ""
    line = "{desc}: {n_fmt}/{total_fmt}{unit}, {elapsed} elapsed, {remaining} left" + rate + "{postfix}"
    shown = (_ReportedBar if _report else tqdm)(
        total=total,
        initial=initial,
        desc=what,
        unit=f" {unit}",
        file=sys.stderr,
        unit_scale=scale,
        mininterval=0.2 if on_terminal else 5,
        maxinterval=1e9,
        ascii=None if on_terminal else True,
        bar_format=None if on_terminal else line + "\n",
        disable=hidden,
    )
    over = threading.Event()

    def keep_alive() -> None:
        copied_s = time.monotonic()
        while not over.wait(1 if on_terminal else 10):
            shown.refresh()
            if _copy and time.monotonic() - copied_s >= COPIED_EVERY_S:
                copied_s = time.monotonic()
                _copy(f"{what}: {shown.n} of {total} {unit}s")

    watcher = threading.Thread(target=keep_alive, daemon=True)
    watcher.start()
    try:
        yield shown
    finally:
        over.set()
        watcher.join()
        shown.close()


def progress(iterable: Iterable[T], what: str, unit: str) -> Iterator[T]:
    """The items, with a bar that counts them as they are read."""
    items = list(iterable)
    with bar(len(items), what, unit) as b:
        for item in items:
            yield item
            b.update()


def say(line: str) -> None:
    """Print one line on standard error, above any bar."""
    tqdm.write(names.valid(line), file=sys.stderr)
    if _copy:
        _copy(names.valid(line))


def note_in(folder: Path | None) -> None:
    """Let `doing` write into a folder from now on; for a worker process, whose parent reads with `noted`."""
    global _notes
    _notes = folder


def doing(what: str) -> None:
    """Note the current work of this process, in case it dies or hangs; "" for none."""
    if _notes:
        (_notes / str(os.getpid())).write_text(what)


def noted(folder: Path, pid: int) -> str:
    """The last note of a process; "" if there is none."""
    try:
        return (folder / str(pid)).read_text()
    except FileNotFoundError:
        return ""
