"""`--background keep`: a film's music and noise without its speech, to lie under a new voice.

DeepFilterNet gives the speech in each channel; the background is what is left when that is taken off. What the network
misses of the voice stays in the difference, at about a tenth of the voice: it shows where the voice is far stronger
than the difference, and there the difference is made quieter (a Wiener gain by frequency and time).

`python -m benchmarks.background` measures how much of the voice stays, and how much of the background: docs/lines.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.lines.speech_filter import DELAY, HOP, RATE_HZ, SpeechFilter
from tasks.media import decode, native_rate
from tasks.media.native_rate import SoundFormat

WINDOW = 2 * HOP  # samples, 20 ms
LEFT_OVER = 1.0  # of the voice, which may be in the difference; measured: less leaves more voice, more takes more music
LATE_HOPS = DELAY // HOP + 1  # between what goes into a channel and what comes out
WARM_UP_S = 1.0  # before a line, in which the network gets to know the sound
BASS = ("LFE", "LFE2")  # channels without speech, kept whole

Region = tuple[float, float]  # s


@dataclass(frozen=True, slots=True)
class Background:
    """The background of the file `path`, within the regions; None: everywhere."""

    path: Path
    regions: Sequence[Region] | None = None

    def blocks(self, like: SoundFormat) -> Iterator[np.ndarray]:
        """In a format, from the first picture on; silent outside the regions.  Shape: yields (channels, n) float32"""
        at_48k = SoundFormat(RATE_HZ, like.layout, like.duration_s)
        cleaned = without_speech(native_rate.channels(self.path, at_48k), like.places, self.regions)
        return decode.resampled(((block, RATE_HZ) for block in cleaned), like.rate_hz, like.layout)


def without_speech(
    blocks: Iterable[np.ndarray], places: Sequence[str], regions: Sequence[Region] | None = None
) -> Iterator[np.ndarray]:
    """places: of each channel, as FFmpeg names them.  Shape: (channels, n) float32, RATE_HZ -> the same, all samples"""
    channels = [Later() if place in BASS else Channel() for place in places]
    num_given = num_made = 0

    def hops() -> Iterator[np.ndarray]:
        nonlocal num_given
        held = np.zeros((len(places), 0), np.float32)
        for block in blocks:
            num_given += block.shape[1]
            held = np.concatenate([held, block], axis=1)
            whole = held.shape[1] // HOP * HOP
            yield from (held[:, low : low + HOP] for low in range(0, whole, HOP))
            held = held[:, whole:]
        yield np.pad(held, ((0, 0), (0, HOP - held.shape[1])))
        yield from [np.zeros((len(places), HOP), np.float32)] * LATE_HOPS

    for k, sound_CH in enumerate(hops()):
        if is_active(k * HOP / RATE_HZ, regions):
            made = np.stack([channel(sound) for channel, sound in zip(channels, sound_CH, strict=True)])
        else:
            made = np.zeros_like(sound_CH)
        if k >= LATE_HOPS and num_made < num_given:
            made = made[:, : num_given - num_made]
            num_made += made.shape[1]
            yield made


def is_active(time_s: float, regions: Sequence[Region] | None) -> bool:
    """Whether the hop that goes in at `time_s` is needed."""
    late_s = (LATE_HOPS + 1) * HOP / RATE_HZ
    return regions is None or any(low_s - WARM_UP_S <= time_s <= high_s + late_s for low_s, high_s in regions)


class Later:
    """A channel without speech: as it is, as late as the others."""

    def __init__(self) -> None:
        self.waiting = [np.zeros(HOP, np.float32)] * LATE_HOPS

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """Shape: (HOP,) float32 -> (HOP,) float32"""
        self.waiting.append(sound)
        return self.waiting.pop(0)


class Channel:
    """Takes the speech out of one channel, HOP samples at a time, LATE_HOPS late."""

    def __init__(self) -> None:
        self.speech = SpeechFilter()
        self.window = np.sqrt(np.hanning(WINDOW + 1)[:-1])
        self.waiting = [np.zeros(HOP, np.float32)] * (DELAY // HOP)
        self.last_left, self.last_speech, self.tail = np.zeros((3, HOP), np.float32)

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """Shape: (HOP,) float32 -> (HOP,) float32"""
        speech = self.speech(sound)
        self.waiting.append(sound)
        left = self.waiting.pop(0) - speech
        made = self.quietened(np.concatenate([self.last_left, left]), np.concatenate([self.last_speech, speech]))
        out, self.tail, self.last_left, self.last_speech = self.tail + made[:HOP], made[HOP:], left, speech
        return out.astype(np.float32)

    def quietened(self, left: np.ndarray, speech: np.ndarray) -> np.ndarray:
        """What is left, less of it where that may be the voice.  Shape: (WINDOW,), (WINDOW,) -> (WINDOW,)"""
        left_F, speech_F = np.fft.rfft(self.window * left), np.fft.rfft(self.window * speech)
        voice_F = np.square(LEFT_OVER * np.abs(speech_F)) / np.maximum(np.square(np.abs(left_F)), 1e-20)
        return self.window * np.fft.irfft(left_F * np.sqrt(np.clip(1 - voice_F, 0, 1)), WINDOW)
