"""The process that dubs for the page, one job after the other; it is told and answers through a pipe.

It is a process of its own because strangers' files pass through decoders in it: it can be stopped at any moment, and
where it dies the page lives on. It works on no more than its parent lives.
"""

import contextlib
import io
import re
import signal
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tasks.core.errors import UserError
from tasks.dubbing.options import Options
from tasks.serving.uploads import without_places

BAR = re.compile(r"([A-Za-z ]+): +\d+%\|.*\| (\d+)/(\d+) \[")  # of tasks.core.progress on a terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class DubOrder:
    """One job: the arguments of `tasks.dubbing.dub.run`."""

    face: Path
    sound: Path | None
    checkpoint: str
    out: Path
    options: Options


@dataclass(frozen=True, slots=True)
class Progress:
    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Done:
    """`error`: the line for the visitor where it was refused, else empty."""

    error: str


class Terminal(io.StringIO):
    """What a person would see at a terminal, its bars passed on."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self.pipe = pipe

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for what, done, total in BAR.findall(text):
            self.pipe.send(Progress(what.strip(), int(done), int(total)))
        return len(text)


def work(pipe: Connection) -> None:
    """Take orders until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    import tasks.dubbing.dub  # noqa: F401 - loaded while the visitor still chooses

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            order = pipe.recv()
            pipe.send(Done(one(order, pipe)))


def one(order: DubOrder, pipe: Connection) -> str:
    """ "" or why it was refused. A bug of ours ends this process, with its traceback on the real terminal."""
    from tasks.dubbing import dub
    from tasks.tracking import registry

    tempfile.tempdir = str(order.out.parent)  # what a killed job leaves goes with its folder
    sound = str(order.sound) if order.sound else None
    try:
        with contextlib.redirect_stderr(Terminal(pipe)):
            dub.run(str(order.face), sound, str(order.out), registry.path_of(order.checkpoint), options=order.options)
    except UserError as error:
        return without_places(str(error))
    return ""
