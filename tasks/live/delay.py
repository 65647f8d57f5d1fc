"""Sound held back until the picture beside it is there, by the stream's own clock: what has been heard of it.

The same samples go out as come in, each once and in order, DELAY_S later. No second clock can drift from the speaker's;
a network that stops and catches up is followed.
"""

import math
from collections import deque
from typing import Generic, TypeVar

from model.timing import FPS
from tasks.live.stream import LOOK_AHEAD_S, WORK_S, Shown

DELAY_S = LOOK_AHEAD_S + WORK_S  # and up to one block of the sound, which is whole when its last sample is spoken
EXACT_S = 1e-9

Block = TypeVar("Block")


class Delay(Generic[Block]):
    """Sound in (`hear`), pictures in (`see`), and what is due out. `num_due`: frames whose time has come."""

    def __init__(self) -> None:
        self.heard_s = 0.0
        self.num_due = self.num_shown = 0
        self._sounds: deque[tuple[float, Block]] = deque()
        self._pictures: deque[Shown] = deque()
        self._last = -1  # number of the frame in whose place the last picture was shown

    @property
    def num_repeated(self) -> int:
        """Frames in whose place the one before stayed."""
        return self.num_due - self.num_shown

    def hear(self, block: Block, duration_s: float) -> list[Block]:
        """The blocks that are due now that this one has come."""
        self._sounds.append((self.heard_s, block))
        self.heard_s += duration_s
        due = []
        while self._sounds and self._sounds[0][0] + DELAY_S <= self.heard_s + EXACT_S:
            due.append(self._sounds.popleft()[1])
        return due

    def see(self, shown: Shown) -> None:
        if not shown.repeated:
            self._pictures.append(shown)

    def picture(self) -> tuple[int, Shown] | None:
        """The newest picture that is due, once, and the number of the frame in whose place it is shown."""
        self.num_due = max(0, math.floor((self.heard_s - DELAY_S + EXACT_S) * FPS) + 1)
        now, newest = self.num_due - 1, None
        while self._pictures and self._pictures[0].number <= now:
            newest = self._pictures.popleft()
        if newest is None or now <= self._last:
            return None
        self._last = now
        self.num_shown += 1
        return now, newest
