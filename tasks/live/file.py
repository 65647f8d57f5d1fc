"""A live stream from a sound file, or samples on standard input, to an mp4, or Matroska on standard output."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from model import timing
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing, demand_file
from tasks.core.progress import say
from tasks.features.landmarks import Predictor
from tasks.inference import auto_backend, lip_sync
from tasks.live.stream import CHUNK, LOOK_AHEAD_S, Live, Portrait, Shown, chunks
from tasks.media import containers, decode, stream_writer
from tasks.provenance import c2pa_mark

PIPE = "-"


@dataclass
class Tally:
    """What a stream took."""

    num_frames: int = 0
    num_repeated: int = 0
    work_s: list[float] = field(default_factory=list)
    delay_s: list[float] = field(default_factory=list)  # from a frame's own sound to its picture

    def add(self, shown: Shown, now_s: float) -> None:
        self.num_frames += 1
        self.num_repeated += shown.repeated
        self.delay_s.append(now_s - shown.number / timing.FPS)
        if not shown.repeated:
            self.work_s.append(shown.work_s)

    def line(self, paced: bool) -> str:
        work_ms, slow_ms = (1000 * float(np.quantile(self.work_s, share)) for share in (0.5, 0.95))
        told = (
            f"{self.num_frames} frames, {self.num_repeated} repeated; {work_ms:.0f} ms of work a frame, more than "
            f"{slow_ms:.0f} for 5 %"
        )
        delay_ms = 1000 * float(np.quantile(self.delay_s, 0.95))
        measured = f"; 95 % of them were ready {delay_ms:.0f} ms after their sound" if paced else ""
        return f"{told}; needed: {1000 * LOOK_AHEAD_S:.1f} ms of look-ahead{measured}"


def run(
    face: str, audio: str, out: str, checkpoint: str = str(paths.GENERATOR), paced: bool = False,
    box: tuple[float, float, float, float] | None = None, backend: str | None = None,
) -> Tally:  # fmt: skip
    """`paced`: a file's sound comes at the speed at which it is spoken; standard input always comes at its own.
    `backend`: as in tasks.inference.auto_backend.

    Errors: UserError for what cannot be read or written, or has no face.
    """
    if out != PIPE and Path(out).suffix.lower() != ".mp4":
        raise UserError(f"--out must end in .mp4, or be - for Matroska on standard output, got {out}")
    for path in (face, *([audio] if audio != PIPE else [])):
        demand_file(path)
    sync = auto_backend.lip_sync(Path(checkpoint), backend)
    p = lip_sync.face_params(sync.about, Path(checkpoint))
    with containers.readable(face):
        picture_HW3 = decode.read_image(Path(face))
    portrait = Portrait(
        picture_HW3, sync, p, Predictor(paths.LANDMARKS), None if box is None else np.array(box, np.float64)
    )
    sources = {"face": Path(face)} | ({"sound": Path(audio)} if audio != PIPE else {})
    came_from = c2pa_mark.about(Path(checkpoint), sync.about, sources)
    hurried = paced or audio == PIPE
    if out == PIPE:
        tally = stream(portrait, audio, sys.stdout.buffer, "matroska", hurried, c2pa_mark.tags(came_from))
    else:
        with all_or_nothing(Path(out)) as partial:
            with partial.open("w+b") as file:
                tally = stream(portrait, audio, file, "mp4", hurried, c2pa_mark.tags(came_from))
            c2pa_mark.mark(partial, came_from, sources)
    say(f"live: {out}: {tally.line(hurried)}")
    return tally


def stream(portrait: Portrait, audio: str, out: BinaryIO, kind: str, hurried: bool, tags: Mapping[str, str]) -> Tally:
    clock = Clock()
    live, tally = Live(portrait, clock if hurried else None), Tally()
    heard = np.zeros(0, np.float32)
    with stream_writer.Writer(out, kind, portrait.picture_HW3.shape[:2], tags) as writer:  # type: ignore[arg-type]
        for chunk in sound_of(audio, clock, hurried):
            heard = np.concatenate([heard, chunk])
            for shown in live.push(chunk):
                tally.add(shown, clock())
                heard = write(writer, shown, heard)
        if not live.ear.num_samples:
            raise UserError(f"{audio}: its sound is empty")
        for shown in live.end():
            tally.add(shown, clock())
            heard = write(writer, shown, heard)
    return tally


def write(writer: stream_writer.Writer, shown: Shown, heard: np.ndarray) -> np.ndarray:
    """A picture and the sound beside it; returns the sound that is left."""
    own = heard[: timing.SAMPLES_PER_FRAME]
    writer.write(shown.picture_HW3, decode.fit(own, 1))
    return heard[timing.SAMPLES_PER_FRAME :]


class Clock:
    """Seconds since the first sample was spoken: what came before it, loading and waiting, is no delay."""

    def __init__(self) -> None:
        self._start_s: float | None = None

    def __call__(self) -> float:
        return 0.0 if self._start_s is None else time.monotonic() - self._start_s

    def start(self, ago_s: float = 0.0) -> None:
        if self._start_s is None:
            self._start_s = time.monotonic() - ago_s


def sound_of(audio: str, clock: Clock, hurried: bool) -> Iterator[np.ndarray]:
    """Chunks as they come; the first one starts the clock.  Errors: UserError where there is no sound to be read"""
    if audio == PIPE:
        while data := sys.stdin.buffer.read(CHUNK * 2):
            clock.start(len(data) / 2 / timing.SAMPLE_RATE_HZ)  # it is read when its last sample was spoken
            yield np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32768
        return
    waiting, num = threading.Event(), 0
    with containers.readable(audio, "no sound can be read"):
        for chunk in chunks(decode.mono(Path(audio))):
            clock.start()
            num += len(chunk)
            if hurried:  # a chunk is there when its last sample was spoken
                waiting.wait(max(0.0, num / timing.SAMPLE_RATE_HZ - clock()))
            yield chunk
