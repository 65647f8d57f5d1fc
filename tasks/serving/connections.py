"""Connections that do not wait for ever: time-outs for a request's head, its body, and a client that reads nothing.

uvicorn itself ends only idle connections after an answer.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 15.0  # from the connection, or the end of the answer before, to the last line of a request's head
STALL_S = 30.0  # without a byte of a body, or with no byte of the answer taken
BODY_S = 1800.0  # for a whole body
TICK_S = 1.0


class TimedProtocol(H11Protocol):
    """One connection of a client."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._clock = asyncio.get_running_loop()
        self._stage: tuple[Any, str] = (None, "")
        self._began_s = self._came_s = self._left_s = self._clock.time()
        self._unsent = 0
        self._tick = self._clock.call_later(TICK_S, self._look)

    def data_received(self, data: bytes) -> None:
        self._came_s = self._clock.time()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tick.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Once a second: has the client had its time?"""
        now_s = self._clock.time()
        if (stage := self._stage_now()) != self._stage:
            self._stage, self._began_s = stage, now_s
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent or not unsent:
            self._unsent, self._left_s = unsent, now_s
        waiting_s, idle_s = now_s - self._began_s, now_s - self._came_s
        late = {
            "head": waiting_s > HEAD_S,
            "body": not self.flow.read_paused and (idle_s > STALL_S or waiting_s > BODY_S),
            "app": False,
        }
        if late[stage[1]] or now_s - self._left_s > STALL_S:
            self.transport.abort()
        else:
            self._tick = self._clock.call_later(TICK_S, self._look)

    def _stage_now(self) -> tuple[Any, str]:
        """(the request, what is waited for)"""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            return cycle, "head"
        return cycle, "body" if cycle.more_body else "app"
