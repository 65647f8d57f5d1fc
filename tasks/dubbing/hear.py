"""The new audio: what drives the network, 16 kHz mono, and the soundtrack of the output, at full rate.

Both are generators over the same lines (an audio file, when it begins and who speaks it), so memory does not grow with
the length. Lines of one speaker follow each other; those of several may overlap, and are added.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from model import timing
from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.core.progress import say
from tasks.dubbing import separate
from tasks.dubbing.spans import Span
from tasks.features import audio
from tasks.media import containers, decode, native_rate
from tasks.media.native_rate import SoundFormat

PIECE_FRAMES = 60 * timing.FPS  # of audio features computed at a time
CONTEXT_FRAMES = 2  # on either side: longer than any window of the features
SILENCE_SAMPLES = 1 << 16
FADE_S = 0.02  # from the original sound to a line and back


class Under(Protocol):
    """What lies under the lines: the background of the file `path`."""

    @property
    def path(self) -> Path: ...

    def blocks(self, like: SoundFormat) -> Iterator[np.ndarray]:
        """In a format, from the first picture on; silent outside the lines.  Shape: yields (channels, n) float32"""


NO_SPAN = Span(0.0, "")


@dataclass(frozen=True, slots=True)
class Line:
    """New words: an audio file that begins at `start_s` of the video.

    separated  the network is driven by its separated speech
    tracks     which of several sound tracks it is
    span       what was asked for: the speaker, and until when the original is replaced
    """

    start_s: float
    path: Path
    duration_s: float
    separated: bool = False
    tracks: str = ""
    span: Span = NO_SPAN

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s

    @property
    def until_s(self) -> float:
        """The end of what is replaced of the original."""
        return max(self.end_s, self.span.until_s)

    def share(self, times_s: np.ndarray, fade_s: float, around_s: float = 0.0) -> np.ndarray:
        """How much of the original is replaced at these times, 0 to 1: all of it from `fade_s` within the line on.

        around_s: by which the line counts as longer, at either end.  Shape: (n,) -> (n,)
        """
        inside_s = np.minimum(times_s - self.start_s, self.until_s - times_s) + around_s
        return np.clip(inside_s / fade_s, 0, 1)


def line(span: Span, way: str = "raw") -> Line:
    """`way`: one of options.DRIVING_AUDIO.  Errors: UserError where no sound can be read, or there is none"""
    path = Path(span.path)
    with containers.readable(demand_file(path), "no sound can be read"):
        num_samples, tracks = sum(len(block) for block in decode.mono(path)), decode.sounds_left_out(path)
    if tracks:
        say(f"dub: {path}: {tracks}")
    if not num_samples:
        raise UserError(f"{path}: no sound can be read: its sound stream is empty")
    demand_whole(path, num_samples / timing.SAMPLE_RATE_HZ)
    separated = way == "separated" or (way == "auto" and separate.needs_separating(decode.mono(path)))
    return Line(span.start_s, path, num_samples / timing.SAMPLE_RATE_HZ, separated, tracks, span)


def demand_whole(path: Path, heard_s: float) -> None:
    """Errors: UserError where a tenth of the promised length cannot be decoded, the limit that holds for video too"""
    promised_s = native_rate.sound_format(path).duration_s
    if heard_s >= decode.WHOLE * promised_s or decode.guesses_length(path):
        return
    # with the sound before the first picture
    all_s = sum(len(block) for block in decode.sound_from(path, None)) / timing.SAMPLE_RATE_HZ
    if all_s < decode.WHOLE * promised_s:
        raise UserError(f"{path}: no sound can be read: damaged after {all_s:.1f} s of {promised_s:.1f} s")


def in_order(lines: Iterable[Line]) -> list[Line]:
    """The lines by their start.  Errors: UserError where two lines of one speaker overlap"""
    ordered = sorted(lines, key=lambda line: line.start_s)
    for of_one in by_speaker(ordered).values():
        demand_apart(of_one)
    return ordered


def by_speaker(lines: Sequence[Line]) -> dict[str | None, list[Line]]:
    """The lines of each speaker who was asked for; None: of no named one."""
    speakers: dict[str | None, list[Line]] = {}
    for line in lines:
        speakers.setdefault(line.span.speaker, []).append(line)
    return speakers


def demand_apart(ordered: Sequence[Line]) -> None:
    """Errors: UserError where two lines of one speaker overlap"""
    for before, after in itertools.pairwise(ordered):
        if after.start_s < before.end_s - timing.COLUMN_S:
            raise UserError(
                f"{after.path} begins at {after.start_s:.2f} s, before {before.path} ends at {before.end_s:.2f} s"
            )


def timeline(lines: Sequence[Line], num_samples: int) -> Iterator[np.ndarray]:
    """The driving audio: the lines in their places, silence around them.

    Shape: yields (n,) float32, num_samples in all, 16 kHz
    """

    def driving(one: Line) -> Iterator[np.ndarray]:
        blocks = decode.mono(one.path)
        return separate.separated(blocks) if one.separated else blocks

    return placed(lines, num_samples, timing.SAMPLE_RATE_HZ, (), driving)


def placed(
    lines: Sequence[Line], num_samples: int, rate_hz: int, shape: tuple[int, ...],
    sound_of: Callable[[Line], Iterable[np.ndarray]],
) -> Iterator[np.ndarray]:  # fmt: skip
    """The sound of each line at its place, silence between them.

    Shape: `sound_of` yields (*shape, n) at rate_hz -> yields (*shape, n) float32, num_samples in all
    """
    at = 0
    for one in lines:
        start = min(round(one.start_s * rate_hz), num_samples)
        yield from silence(start - at, shape)
        at = max(at, start)
        for block in sound_of(one):
            kept = block[..., : num_samples - at]
            at += kept.shape[-1]
            if kept.shape[-1]:
                yield kept
    yield from silence(num_samples - at, shape)


def silence(num_samples: int, shape: tuple[int, ...] = ()) -> Iterator[np.ndarray]:
    """In blocks, so that an hour of it is never in memory.  Shape: yields (*shape, n) float32"""
    for start in range(0, num_samples, SILENCE_SAMPLES):
        yield np.zeros((*shape, min(SILENCE_SAMPLES, num_samples - start)), np.float32)


def mfcc(blocks: Iterable[np.ndarray], num_frames: int) -> np.ndarray:
    """`features.audio.mfcc` of audio in blocks: the same numbers, without all of it in memory.

    Shape: blocks (n,) of at least num_frames x 640 samples in all -> (12, 4 num_frames) float32
    """
    context, columns = timing.num_samples(CONTEXT_FRAMES), CONTEXT_FRAMES * timing.COLUMNS_PER_FRAME
    source, ready = iter(blocks), np.zeros(0, np.float32)
    pieces, done = [], 0
    while done < num_frames:
        before = CONTEXT_FRAMES if done else 0
        num = min(PIECE_FRAMES, num_frames - done)
        after = min(CONTEXT_FRAMES, num_frames - done - num)
        wanted = timing.num_samples(before + num + after)
        parts, have = [ready], len(ready)
        while have < wanted and (block := next(source, None)) is not None:
            parts.append(block)
            have += len(block)
        ready = np.concatenate(parts)
        piece = audio.mfcc(ready[:wanted], before + num + after)
        pieces.append(piece[:, columns if before else 0 :][:, : num * timing.COLUMNS_PER_FRAME])
        done += num
        ready = ready[timing.num_samples(before + num) - context :]
    return np.concatenate(pieces, axis=1)


def soundtrack(
    lines: Sequence[Line], original: Path | None, duration_s: float, under: Under | None = None
) -> tuple[Iterator[np.ndarray], SoundFormat]:
    """The sound of the output: the lines, between them `original` or silence; in its format, else the first line's.

    under: the original without its speech
    Shape: yields (channels, n) float32, cut to the duration
    """
    like = native_rate.sound_format(original or (under.path if under else lines[0].path))
    num_samples = round(duration_s * like.rate_hz)
    new = summed([
        placed(
            of_one, num_samples, like.rate_hz, (like.num_channels,), lambda line: native_rate.channels(line.path, like)
        )
        for of_one in by_speaker(lines).values()
    ])  # fmt: skip
    if under is not None:
        background = in_step(under.blocks(like), like.num_channels)
        new = (block + background(block.shape[1]) for block in new)
    return (mixed(native_rate.channels(original, like), new, lines, like) if original else new), like


def summed(streams: Sequence[Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
    """The sum of streams of one length.  Shape: each yields (channels, n) float32 -> yields (channels, n) float32"""
    first, others = streams[0], streams[1:]
    readers: list[Callable[[int], np.ndarray]] = []
    for block in first:
        readers = readers or [in_step(other, len(block)) for other in others]
        for read in readers:
            block = block + read(block.shape[1])
        yield block


def in_step(stream: Iterator[np.ndarray], num_channels: int) -> Callable[[int], np.ndarray]:
    """A function that reads the next `num` samples of a stream; after its end, silence."""
    pending = np.zeros((num_channels, 0), np.float32)

    def read(num: int) -> np.ndarray:
        nonlocal pending
        while pending.shape[1] < num:
            more = next(stream, None)
            if more is None:
                more = np.zeros((num_channels, num - pending.shape[1]), np.float32)
            pending = np.concatenate([pending, more], axis=1)
        part, pending = pending[:, :num], pending[:, num:]
        return part

    return read


def mixed(
    original: Iterator[np.ndarray], new: Iterator[np.ndarray], lines: Sequence[Line], like: SoundFormat
) -> Iterator[np.ndarray]:
    """The original sound, faded to `new` within the lines."""
    read, at = in_step(original, like.num_channels), 0
    for block in new:
        own = read(block.shape[1])
        times_s = (at + np.arange(block.shape[1])) / like.rate_hz
        share = np.zeros(len(times_s), np.float32)
        for one in lines:
            if one.start_s < times_s[-1] and one.until_s > times_s[0]:
                share = np.maximum(share, one.share(times_s, FADE_S).astype(np.float32))
        # summed in this order, audio outside the lines keeps its exact samples
        yield np.where(share > 0, own * (1 - share) + block * share, own)
        at += block.shape[1]
