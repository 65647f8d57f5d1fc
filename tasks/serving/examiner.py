"""A process of its own that takes the first look at what strangers send: files, and offers of live sessions.

It has a limit of time and of memory. If it dies of a file, the page stays up, and the file is refused.
"""

import asyncio
import contextlib
import multiprocessing
import resource
import signal
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tasks.core.errors import UserError
from tasks.serving.uploads import Limits, check

MEMORY_BYTES = 4 << 30  # of address space; an upload takes some hundred MB
LOOK_S = 60.0  # for one file or offer
BAD_OFFER = "the browser's half of the handshake cannot be read; load the page again"


def work(pipe: Connection) -> None:
    """Take orders until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            kind, *rest = pipe.recv()
            try:
                pipe.send((answer_offer(*rest) if kind == "offer" else check(rest[0], kind, rest[1]), ""))
            except UserError as error:
                pipe.send((0.0, str(error)))


def answer_offer(sdp: str) -> float:
    """Does with an offer all that a session does with it.

    Errors: UserError if it has no audio, or no keys to connect with; aiortc's own
    """
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
    from aiortc.sdp import SessionDescription

    for media in SessionDescription.parse(sdp).media:
        ice, dtls = media.ice, media.dtls
        if not (ice and ice.usernameFragment and ice.password and dtls and dtls.fingerprints):
            raise UserError(BAD_OFFER)

    async def answer() -> float:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            answer = await peer.createAnswer()
            if "m=audio" not in answer.sdp:
                raise UserError(BAD_OFFER)
        finally:
            await peer.close()
        return 0.0

    return asyncio.run(answer())


class Examiner:
    """Started at the first order, and again after it died. One order at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: tuple[BaseProcess, Connection] | None = None

    def check(self, path: Path, kind: str, limits: Limits) -> float:
        """`uploads.check` over there.  Errors: as there; also if it takes too long or the process dies of it"""
        return self._ask((kind, path, limits), f"{path.name} cannot be read here: the decoder fails at it")

    def check_offer(self, sdp: str) -> None:
        """Errors: UserError if a live session could not be opened with this offer"""
        self._ask(("offer", sdp), BAD_OFFER)

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _ask(self, order: tuple[Any, ...], died: str) -> float:
        with self._lock:
            _, pipe = self._start()
            try:
                pipe.send(order)
                if not pipe.poll(LOOK_S):
                    self._stop()
                    raise UserError(died)
                duration_s, why = pipe.recv()
            except (EOFError, OSError):
                self._stop()
                raise UserError(died) from None
        if why:
            raise UserError(why)
        return duration_s

    def _start(self) -> tuple[BaseProcess, Connection]:
        if self._child is None or not self._child[0].is_alive():
            context = multiprocessing.get_context("spawn")
            here, there = context.Pipe()
            process = context.Process(target=work, args=(there,), name="examiner", daemon=True)
            process.start()
            there.close()
            self._child = process, here
        return self._child

    def _stop(self) -> None:
        if self._child:
            process, pipe = self._child
            self._child = None
            process.kill()
            process.join()
            pipe.close()
