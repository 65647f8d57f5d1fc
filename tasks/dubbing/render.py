"""Pass 2: the frames of the output, with the mouths changed according to the scripts, one for each speaker.

Batches start at segment borders, so a resumed run makes the same bytes as an uninterrupted one.
"""

import contextlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.core.ahead import ahead
from tasks.dubbing.judge import Judge
from tasks.dubbing.networks import Mouths
from tasks.dubbing.script import Script
from tasks.features.face_track import Frame
from tasks.inference import lip_sync
from tasks.media import decode, native_rate

HELD_BYTES = 64 << 20  # of frames in one batch
SEGMENT_FRAMES = 8 * lip_sync.BATCH


@dataclass
class Part:
    """One speaker's mouths. `made` keeps the new face of each changed frame, and its seam, until `taken`."""

    script: Script
    mouths: Mouths
    judge: Judge | None = None
    made: dict[int, tuple[np.ndarray, float]] = field(default_factory=dict)

    def changed(self, at: np.ndarray, batch: list[Frame]) -> Iterator[Frame]:
        """The frames `batch`, with this speaker's mouth in those of output frames `at` that are changed."""
        changed_B = self.script.plan.weight_N[at] > 0
        who_B = np.where(changed_B, self.script.choice.who_T[self.script.plan.source_N[at]], -1)
        with contextlib.ExitStack() as stack:
            made: dict[int, Iterator[Frame]] = {}
            for number in np.unique(who_B[changed_B]).tolist():
                mine = np.flatnonzero(who_B == number)
                one = self.one_face(number, at[mine], [batch[k] for k in mine])
                made[number] = stack.enter_context(contextlib.closing(one))
            for frame_HW3, number in zip(batch, who_B.tolist(), strict=True):
                yield frame_HW3 if number < 0 else next(made[number])

    def one_face(self, number: int, at: np.ndarray, batch: list[Frame]) -> Generator[Frame]:
        for n, (frame, face_SS3, seam) in zip(at.tolist(), self.mouths.change(number, at, batch), strict=True):
            self.made[n] = face_SS3, seam
            yield frame

    def taken(self, start: int, end: int) -> dict[int, tuple[np.ndarray, float]]:
        """Generated faces and seams of output frames start .. end - 1; they are not kept any longer."""
        return {n: self.made.pop(n) for n in range(start, end) if n in self.made}


@dataclass
class Renderer:
    """A part for each speaker; they have the frames of the output in common."""

    parts: Sequence[Part]

    @property
    def script(self) -> Script:
        """Of any part, for what they have in common."""
        return self.parts[0].script

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Output frames from `first`, the start of a segment; unchanged ones as decoded.  Shape: yields (H, W, 3)"""
        num = len(self.script.plan.source_N)
        height, width = self.script.seen.size_hw
        batch = int(np.clip(HELD_BYTES // (height * width * 3), 1, lip_sync.BATCH))
        with contextlib.closing(ahead(self.shown(first), batch)) as shown:
            for start in range(first, num, SEGMENT_FRAMES):
                end = min(start + SEGMENT_FRAMES, num)
                for low in range(start, end, batch):
                    at = np.arange(low, min(low + batch, end))
                    yield from self.changed(at, list(itertools.islice(shown, len(at))))

    def shown(self, first: int) -> Iterator[Frame]:
        """The source frame of each output frame; decoded again for each change of direction."""
        order = self.script.plan.source_N[first:]
        if decode.is_image(self.script.face):
            picture_HW3 = decode.read_image(self.script.face)
            for frame in order.tolist():
                yield self.script.sway.picture(picture_HW3, frame) if self.script.sway else picture_HW3
            return
        for run in np.split(order, np.flatnonzero(np.diff(order) == 0) + 1):
            yield from self.run(run)

    def run(self, run: np.ndarray) -> Iterator[Frame]:
        """Source frames `run`, which go in one direction."""
        if len(run) == 1 or run[1] > run[0]:
            with contextlib.closing(native_rate.pictures(self.script.face, int(run[0]))) as pictures:
                yield from (picture for picture, _ in itertools.islice(pictures, len(run)))
            return
        seen = self.script.seen
        height, width = seen.size_hw
        held = max(1, HELD_BYTES // (height * width * 3))
        backwards = native_rate.backwards(self.script.face, seen.times_s[: run[0] + 1], held)
        yield from itertools.islice(backwards, len(run))

    def changed(self, at: np.ndarray, batch: list[Frame]) -> Iterator[Frame]:
        """Output frames `at`.  batch: their source frames"""
        assert len(batch) == len(at), (len(batch), len(at))
        for part in self.parts[:-1]:
            batch = list(part.changed(at, batch))
        yield from self.parts[-1].changed(at, batch)
