"""Delays the audio until its frame is ready, by the stream's own clock: the duration of audio received.

The samples go out as they came in, each once and in order, DELAY_S later. No other clock is used that could drift from
the speaker's, and a network that stalls and catches up is followed.
"""

import math
from collections import deque
from typing import Generic, TypeVar

from model.timing import FPS
from tasks.live.stream import LOOK_AHEAD_S, WORK_S, StreamFrame

DELAY_S = LOOK_AHEAD_S + WORK_S  # plus up to one block of audio, which comes in when its last sample was spoken
EXACT_S = 1e-9

Block = TypeVar("Block")


class Delay(Generic[Block]):
    """Audio in (`add_sound`), frames in (`add_frame`), and both out when they are due. `num_due`: frames due so far"""

    def __init__(self) -> None:
        self.received_s = 0.0
        self.num_due = self.num_shown = 0
        self._sounds: deque[tuple[float, Block]] = deque()
        self._frames: deque[StreamFrame] = deque()
        self._last = -1  # number at which the last frame was shown

    @property
    def num_repeated(self) -> int:
        """Frames for which the one before was shown again."""
        return self.num_due - self.num_shown

    def add_sound(self, block: Block, duration_s: float) -> list[Block]:
        """Returns the blocks that are due now."""
        self._sounds.append((self.received_s, block))
        self.received_s += duration_s
        due = []
        while self._sounds and self._sounds[0][0] + DELAY_S <= self.received_s + EXACT_S:
            due.append(self._sounds.popleft()[1])
        return due

    def add_frame(self, frame: StreamFrame) -> None:
        if not frame.repeated:
            self._frames.append(frame)

    def due_frame(self) -> tuple[int, StreamFrame] | None:
        """(number at which it is shown, frame) of the newest frame that is due, each frame once."""
        self.num_due = max(0, math.floor((self.received_s - DELAY_S + EXACT_S) * FPS) + 1)
        now, newest = self.num_due - 1, None
        while self._frames and self._frames[0].number <= now:
            newest = self._frames.popleft()
        if newest is None or now <= self._last:
            return None
        self._last = now
        self.num_shown += 1
        return now, newest
