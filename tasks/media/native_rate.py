"""A video at its own rate, for dubbing: every picture with its time, forwards and backwards, and the sound in all its
channels. tasks/media/decode.py reads the same file as training sees it, at 25 frames/s and 16 kHz.
"""

import contextlib
import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream

from model.timing import FPS, SAMPLE_RATE_HZ
from tasks.media import containers, decode, ear, shown
from tasks.media.containers import MediaError
from tasks.media.frame import Picture
from tasks.media.hdr import ToSdr

SAME_S = 1e-4  # of two pictures nearer in time than this, the later one is dropped as a duplicate
# layouts that AAC and FLAC write in the order of their channels; others by their number of channels, or mono
LAYOUTS = (
    *("mono", "stereo", "2.1", "3.0", "3.0(back)", "3.1", "4.0", "quad", "4.1", "5.0", "5.1", "6.0", "hexagonal"),
    *("6.1", "7.0", "7.1"),
)
ALIKE = {"downmix": "stereo", "quad(side)": "quad", "5.0(side)": "5.0", "5.1(side)": "5.1", "7.1(wide)": "7.1"}
BY_NUMBER = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
AAC_RATES_HZ = (8_000, 11_025, 12_000, SAMPLE_RATE_HZ, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
USUAL_HZ = 48_000


def pictures(source: Path, first: int = 0) -> Generator[tuple[Picture, float]]:
    """Every picture from number `first` on, as it is shown, with its start in s after picture 0.

    Yields (picture, s), times increase
    Errors: MediaError as `decode.frames`
    """
    with containers.opened(source) as container:
        stream = shown.demand_video(container)
        stream_s = containers.length_s(container, stream)
        number, last_s, usual_s = 0, -1.0, float(1 / (stream.average_rate or FPS))
        for picture, time_s in shown.pictures(container, stream):
            if time_s <= last_s + SAME_S:
                continue
            last_s = time_s
            if number >= first:
                yield picture, time_s
            number += 1
        if last_s < 0:
            raise MediaError("unreadable", "no video frame could be decoded")
        if last_s + usual_s < decode.WHOLE * stream_s:
            raise MediaError("truncated", f"damaged after {last_s + usual_s:.1f} s of {stream_s:.1f} s")


def backwards(source: Path, times_s: np.ndarray, num_held: int) -> Iterator[Picture]:
    """The pictures of `pictures` from the last to the first, `num_held` in memory at a time."""
    for high in range(len(times_s), 0, -num_held):
        low = max(0, high - num_held)
        with contextlib.closing(onwards(source, times_s, low)) as forwards:
            batch = list(itertools.islice(forwards, high - low))
        assert len(batch) == high - low, (low, high)
        yield from reversed(batch)


def onwards(source: Path, times_s: np.ndarray, first: int) -> Generator[Picture]:
    """The pictures of `pictures` from number `first` on; times_s: of all of them.

    It is reached by seeking to the key frame before it, or from the file's start if its index is wrong.
    """
    number = first
    if first > 0:
        with contextlib.closing(_sought(source, times_s, first)) as sought:
            for picture in sought:
                yield picture
                number += 1
    if number < len(times_s):
        with contextlib.closing(pictures(source, number)) as forwards:
            yield from (picture for picture, _ in forwards)


def _sought(source: Path, times_s: np.ndarray, first: int) -> Generator[Picture]:
    """Pictures from `first` on; none if seeking did not find exactly that one."""
    first_s = decode.first_picture_s(source) or 0.0
    with containers.opened(source) as container:
        stream, geometry, to_sdr = shown.demand_video(container), None, ToSdr()
        assert stream.time_base is not None
        container.seek(int((first_s + times_s[first]) / stream.time_base), stream=stream)
        wanted = first
        for frame in shown.progressive(containers.decoded(container, stream), stream):
            if frame.time is None:
                return
            geometry = geometry or shown.geometry_of(frame, stream)
            time_s = frame.time - first_s
            number = int(np.abs(times_s - time_s).argmin())
            if number > wanted or abs(times_s[number] - time_s) >= SAME_S:
                return
            if number == wanted:
                yield Picture(to_sdr(frame), geometry)
                wanted += 1


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """The format of a file's sound, as it is dubbed."""

    rate_hz: int
    layout: str  # one of LAYOUTS
    duration_s: float  # 0 if the file does not say

    @property
    def num_channels(self) -> int:
        return av.AudioLayout(self.layout).nb_channels


def sound_format(source: Path) -> SoundFormat:
    """Errors: MediaError no_sound."""
    with containers.opened(source) as container:
        stream = containers.audio_stream(container)
        if stream is None:
            raise MediaError("no_sound", "there is no sound stream that can be decoded")
        rate_hz = stream.rate if stream.rate in AAC_RATES_HZ else USUAL_HZ
        return SoundFormat(rate_hz, layout_of(stream), containers.length_s(container, stream))


def layout_of(stream: AudioStream) -> str:
    """The layout of LAYOUTS in which a stream's channels go out."""
    name = ALIKE.get(stream.layout.name, stream.layout.name)
    return name if name in LAYOUTS else BY_NUMBER.get(stream.layout.nb_channels, "mono")


def channels(source: Path, like: SoundFormat) -> Generator[np.ndarray]:
    """The sound from the first picture's time on, with the rate and channels of `like`.

    Sound of another number of channels becomes one (tasks/media/ear.py), which goes to the centre, or to left and
    right where there is none.
    Shape: yields (channels, n) float32
    """
    start_s = decode.first_picture_s(source)
    with containers.opened(source) as container:
        stream = containers.audio_stream(container)
        if stream is None:
            raise MediaError("no_sound", "there is no sound stream that can be decoded")
        differs = stream.layout.nb_channels != like.num_channels
        weights_C = decode.ear_weights(source) if differs else None
        as_wanted = (
            (spread(block, like, weights_C), time_s, rate_hz)
            for block, time_s, rate_hz in decode.sound_blocks(container, stream)
        )
        yield from decode.resampled(decode.placed(as_wanted, start_s), like.rate_hz, like.layout)


def spread(block_CN: np.ndarray, like: SoundFormat, weights_C: np.ndarray | None) -> np.ndarray:
    """Shape: (channels, n) -> (like.num_channels, n)"""
    if len(block_CN) == like.num_channels:
        return block_CN
    mono = ear.mixed(block_CN, weights_C)
    places = [place.name for place in av.AudioLayout(like.layout).channels]
    whole = np.zeros((len(places), len(mono)), np.float32)
    whole[places.index(ear.CENTRE) if ear.CENTRE in places else slice(2)] = mono
    return whole
