"""A live stream from an audio file or standard input (samples) to an mp4 file or standard output (Matroska)."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from model import timing
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing, demand_file
from tasks.core.progress import say
from tasks.dubbing import out_names
from tasks.dubbing.networks import Mesh
from tasks.dubbing.options import DEFAULTS, Options
from tasks.live import speakers
from tasks.live.stream import CHUNK, LOOK_AHEAD_S, LiveStream, Speaker, StreamFrame, chunks
from tasks.media import containers, decode, stream_writer
from tasks.provenance import c2pa_mark

PIPE = "-"


@dataclass
class Tally:
    """Frames, computing time and delay of a stream."""

    num_frames: int = 0
    num_repeated: int = 0
    work_s: list[float] = field(default_factory=list)
    delay_s: list[float] = field(default_factory=list)  # from a frame's audio to its picture

    def add(self, frame: StreamFrame, now_s: float) -> None:
        self.num_frames += 1
        self.num_repeated += frame.repeated
        self.delay_s.append(now_s - frame.number / timing.FPS)
        if not frame.repeated:
            self.work_s.append(frame.work_s)

    def line(self, paced: bool) -> str:
        work_ms, slow_ms = (1000 * float(np.quantile(self.work_s, share)) for share in (0.5, 0.95))
        work = (
            f"{self.num_frames} frames, {self.num_repeated} skipped; {work_ms:.0f} ms of computing per frame (median), "
            f"95 % within {slow_ms:.0f} ms"
        )
        delay_ms = 1000 * float(np.quantile(self.delay_s, 0.95))
        measured = f"; 95 % of the frames were ready within {delay_ms:.0f} ms after their audio" if paced else ""
        return f"{work}; look-ahead {1000 * LOOK_AHEAD_S:.1f} ms{measured}"


def run(
    face: str, audio: str, out: str, checkpoint: str | None = None, paced: bool = False, options: Options = DEFAULTS
) -> Tally:
    """paced: read an audio file in real time; standard input always is.  checkpoint, options: as in speakers.opened

    Errors: UserError for input that cannot be read or has no face, and for an output that cannot be written
    """
    if out != PIPE and Path(out).suffix.lower() != ".mp4":
        raise UserError(f"--out must end in .mp4, or be - for Matroska on standard output, got {out}")
    given = (face, *([audio] if audio != PIPE else []), *options.library)
    if out != PIPE:
        out_names.demand_free(out, given)
    for path in given:
        demand_file(Path(path))
    sources = {"face": Path(face)} | ({"sound": Path(audio)} if audio != PIPE else {})
    in_real_time = paced or audio == PIPE
    with speakers.opened(Path(face), checkpoint, options) as (speaker, network):
        if isinstance(network, Mesh) and network.person and out != PIPE:
            out_names.demand_free(out, [video.path for video in network.person.videos])
        came_from = c2pa_mark.about(network.checkpoint, network.about, sources, network.further)
        if out == PIPE:
            tally = stream(speaker, audio, sys.stdout.buffer, "matroska", in_real_time, c2pa_mark.tags(came_from))
        else:
            with all_or_nothing(Path(out)) as partial:
                with partial.open("w+b") as file:
                    tally = stream(speaker, audio, file, "mp4", in_real_time, c2pa_mark.tags(came_from))
                c2pa_mark.mark(partial, came_from, sources)
    say(f"live: {out}: {tally.line(in_real_time)}")
    return tally


def stream(
    speaker: Speaker, audio: str, out: BinaryIO, kind: str, in_real_time: bool, tags: Mapping[str, str]
) -> Tally:
    clock = Clock()
    live, tally = LiveStream(speaker, clock if in_real_time else None), Tally()
    sound = np.zeros(0, np.float32)  # received, not yet written
    with stream_writer.Writer(out, kind, speaker.size_hw, tags) as writer:
        for chunk in sound_of(audio, clock, in_real_time):
            sound = np.concatenate([sound, chunk])
            for frame in live.push(chunk):
                tally.add(frame, clock())
                sound = write(writer, frame, sound)
        if not live.listener.num_samples:
            raise UserError(f"{audio}: the audio is empty")
        for frame in live.end():
            tally.add(frame, clock())
            sound = write(writer, frame, sound)
    return tally


def write(writer: stream_writer.Writer, frame: StreamFrame, sound: np.ndarray) -> np.ndarray:
    """Write a frame with its audio; returns the remaining audio."""
    writer.write(frame.picture_HW3, decode.fit(sound[: timing.SAMPLES_PER_FRAME], 1))
    return sound[timing.SAMPLES_PER_FRAME :]


class Clock:
    """Seconds since the first sample was spoken; loading and waiting before it do not count."""

    def __init__(self) -> None:
        self._start_s: float | None = None

    def __call__(self) -> float:
        return 0.0 if self._start_s is None else time.monotonic() - self._start_s

    def start(self, ago_s: float = 0.0) -> None:
        if self._start_s is None:
            self._start_s = time.monotonic() - ago_s


def sound_of(audio: str, clock: Clock, in_real_time: bool) -> Iterator[np.ndarray]:
    """Chunks as they come in; the first one starts the clock.  Errors: UserError where no sound can be read"""
    if audio == PIPE:
        while data := sys.stdin.buffer.read(CHUNK * 2):
            clock.start(len(data) / 2 / timing.SAMPLE_RATE_HZ)  # a chunk comes in when its last sample was spoken
            yield np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32768
        return
    waiting, num = threading.Event(), 0
    with containers.readable(audio, "no sound can be read"):
        if tracks := decode.sounds_left_out(Path(audio)):
            say(f"live: {audio}: {tracks}")
        for chunk in chunks(decode.mono(Path(audio))):
            clock.start()
            num += len(chunk)
            if in_real_time:  # as if spoken now
                waiting.wait(max(0.0, num / timing.SAMPLE_RATE_HZ - clock()))
            yield chunk
