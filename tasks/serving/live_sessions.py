"""Live sessions of the page, each in a process of its own (tasks/serving/rtc.py), up to the limit of sessions."""

import contextlib
import importlib.util
import multiprocessing
import secrets
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from tasks.core.errors import UserError
from tasks.serving.messages import LiveAnswer, LiveOrder
from tasks.serving.uploads import Limits, without_folders

START_S = 120.0  # for a session to load the model and prepare the face
PATIENCE_S = 2.0  # for it to end by itself
MISSING = "live in the browser needs aiortc: pip install -e '.[live]'"
FAILED = "the session failed; the traceback is on the terminal where the app was started"


def missing() -> str:
    """Why there is no live page, and what to install; "" where nothing is missing."""
    return "" if importlib.util.find_spec("aiortc") else MISSING


def work(pipe: Connection) -> None:
    """The process of a session: one order, one answer, then the stream."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    from tasks.serving import rtc  # torch and aiortc are loaded in this process alone

    with contextlib.suppress(EOFError, BrokenPipeError):
        try:
            rtc.work(pipe.recv(), pipe)
        except UserError as error:
            pipe.send(LiveAnswer(error=without_folders(str(error))))


@dataclass
class Session:
    process: BaseProcess
    pipe: Connection


class LiveSessions:
    """Errors: UserError, one line, where a session cannot be opened"""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(self, order: LiveOrder) -> tuple[str, str]:
        """Returns (name of the session, SDP that answers the offer)"""
        if why := missing():
            raise UserError(why)
        name, session = self._begin()
        try:
            session.pipe.send(order)
            if not session.pipe.poll(START_S):
                raise UserError(f"the session was not ready within {START_S:g} s; try again later")
            answer: LiveAnswer = session.pipe.recv()
        except (EOFError, OSError):
            self.close(name)
            raise UserError(FAILED) from None
        except UserError:
            self.close(name)
            raise
        if answer.error:
            self.close(name)
            raise UserError(answer.error)
        return name, answer.sdp

    def _begin(self) -> tuple[str, Session]:
        with self._lock:
            self.sweep()
            if len(self.sessions) >= self.limits.num_live:
                raise UserError("someone else is live here just now; try again in a few minutes")
            context = multiprocessing.get_context("spawn")
            here, there = context.Pipe()
            process = context.Process(target=work, args=(there,), name="live", daemon=True)
            process.start()
            there.close()
            name = secrets.token_urlsafe(12)
            self.sessions[name] = Session(process, here)
            return name, self.sessions[name]

    def close(self, name: str) -> bool:
        """Returns whether there was a session of this name."""
        session = self.sessions.pop(name, None)
        if session is None:
            return False
        session.pipe.close()  # the process sees that and ends
        session.process.join(PATIENCE_S)
        session.process.kill()
        session.process.join()
        return True

    def sweep(self) -> None:
        """Drop the sessions that have ended."""
        for name, session in list(self.sessions.items()):
            if not session.process.is_alive():
                self.close(name)

    def close_all(self) -> None:
        for name in list(self.sessions):
            self.close(name)
