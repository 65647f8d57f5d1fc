"""Video and audio files as arrays. tasks/media/containers.py opens them.

Pictures are RGB uint8 (H, W, 3) at 25 frames/s, whatever the file's rate; sound is float32 mono, 16 kHz.
Picture 0 and sample 0 are at the same time: that of the first picture that can be decoded.
A source is a path or a seekable binary file object, which is read from its start each time.
Pictures are as viewers show them (tasks/media/shown.py, tasks/media/stills.py), for training and dubbing alike.
"""

import contextlib
import itertools
import logging
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from model.timing import FPS, SAMPLE_RATE_HZ, num_samples
from tasks.media import shown, stills
from tasks.media.containers import (
    JUMP_S,
    MediaError,
    Source,
    audio_stream,
    counted_s,
    decoded,
    left_out,
    length_s,
    opened,
    video_stream,
)
from tasks.media.ear import Ear, mixed
from tasks.media.frame import Geometry, Picture

log = logging.getLogger(__name__)

Block = tuple[np.ndarray, float | None, int]  # float32 (channels, n) or mono (n,), start in s if known, rate in Hz

VIDEO_ENDINGS = tuple(
    ".mp4 .m4v .mov .mkv .webm .mpg .mpeg .avi "
    ".mts .m2ts .ts .mxf .dv .wmv .asf .flv .vob .3gp .3g2 .ogv .qt .mod .tod".split()
)
# without a header, FFmpeg guesses their length from the first frames' bit rate
GUESSED = "mp3 aac amr ac3 eac3 dts truehd mlp loas mpegvideo h264 hevc".split()
WHOLE = 0.9  # share of the declared length; a file that decodes to less is truncated
GAP_S = 0.04  # sound further than this from its time stamp is moved there (time stamps are rounded)
ARRAYS = ("dbl", "dblp", "flt", "fltp", "s16", "s16p", "s32", "s32p", "u8", "u8p")  # formats that PyAV makes arrays of
MAX_PLANES = 7  # PyAV looks for the end of a list of 8 planes behind that list
RATES_HZ = range(4_000, 384_001)  # other rates are damage, and resampling from them takes gigabytes


@dataclass(frozen=True, slots=True)
class Probe:
    """What the container declares; nothing is decoded. 0 if it does not say."""

    has_video: bool
    has_sound: bool
    duration_s: float  # of the video stream, or of the audio stream if there is none
    fps: float
    width: int  # as stored, before any rotation
    height: int
    num_frames: int  # at 25 frames/s


def is_image(path: Path | str) -> bool:
    """Whether the file holds a still picture, by its bytes; `frames` reads it as one frame."""
    return stills.is_picture(path)


def read_image(source: Source) -> np.ndarray:
    """The picture, or the first one of a video, upright.  Shape: -> (H, W, 3) uint8 RGB.  Errors: MediaError."""
    with contextlib.closing(frames(source)) as pictures:
        return next(pictures)


def geometry(source: Source) -> Geometry:
    """Which transform makes a video or a picture upright, and the shape of its pixels.  Errors: MediaError."""
    return stills.geometry(source) if stills.is_picture(source) else shown.geometry(source)


def probe(source: Source) -> Probe:
    """Read the header.  Errors: MediaError unreadable, empty_file."""
    if stills.is_picture(source):
        width, height = stills.size_wh(source)
        return Probe(True, False, duration_s=0.0, fps=0.0, width=width, height=height, num_frames=1)
    with opened(source) as container:
        video, audio = video_stream(container), audio_stream(container)
        duration_s = length_s(container, video or audio)
        return Probe(
            has_video=video is not None,
            has_sound=audio is not None,
            duration_s=duration_s,
            fps=float(video.average_rate or video.guessed_rate or 0) if video else 0.0,
            width=video.width if video else 0,
            height=video.height if video else 0,
            num_frames=round(duration_s * FPS) if video else 0,
        )


def counted_length_s(source: Source) -> float:
    """Length of the longer stream, counted; 0 for a picture.  Errors: MediaError unreadable, empty_file."""
    if stills.is_picture(source):
        return 0.0
    with opened(source) as container:
        return counted_s(container)


def guesses_length(source: Source) -> bool:
    """Whether `probe` may misstate the length of an undamaged file.  Errors: MediaError unreadable, empty_file."""
    with opened(source) as container:
        return container.format.name in GUESSED


def sounds_left_out(source: Source) -> str:
    """`containers.left_out` of a file.  Errors: MediaError unreadable, empty_file."""
    with opened(source) as container:
        return left_out(container)


def tags(source: Source) -> dict[str, str]:
    """The container's metadata: title, comment, ...  Errors: MediaError unreadable, empty_file."""
    with opened(source) as container:
        return dict(container.metadata)


def frames(source: Source) -> Generator[np.ndarray]:
    """A video's `Pictures`, or a picture, as arrays that the caller may change.

    Shape: yields (H, W, 3) uint8 RGB.  Errors: as Pictures, and MediaError truncated for a picture
    """
    if stills.is_picture(source):
        yield stills.read(source)
        return
    with contextlib.closing(Pictures(source)) as pictures:
        for picture in pictures:
            yield picture.rgb()


class Pictures(Iterator[Picture]):
    """The pictures at 25 frames/s, one at a time: for each frame the source picture on screen at its middle.

    This is `model.timing.source_frames`, applied while decoding. Pictures of another size than the first are scaled to
    it.
    Errors: MediaError unreadable, empty_file, hdr before the first picture; truncated after the last one that
            could be decoded, if these are less than 90 % of the declared number.
    """

    start_s: float | None = None  # time stamp of the first picture, for `sound_from`; set once that is decoded
    has_sound = False  # set at the same time
    sounds_left_out = ""  # a word about the sound tracks that are not used; set at the same time

    def __init__(self, source: Source) -> None:
        self._pictures = self._decode(source)

    def __next__(self) -> Picture:
        return next(self._pictures)

    def close(self) -> None:
        self._pictures.close()

    def _decode(self, source: Source) -> Generator[Picture]:
        with opened(source) as container:
            stream = shown.demand_video(container)
            self.has_sound = audio_stream(container) is not None
            self.sounds_left_out = left_out(container)
            declared_s = length_s(container, stream)
            current: Picture | None = None
            times_s: list[float] = []
            num_out = 0
            for picture, time_s in shown.pictures(container, stream):
                while current and (num_out + 0.5) / FPS + 1e-9 < time_s:
                    yield current
                    num_out += 1
                if not current:
                    self.start_s = picture.time_s
                current = picture
                times_s.append(time_s)
            if current is None:
                raise MediaError("unreadable", "no video frame could be decoded")
            usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / FPS
            num_frames = max(1, round((times_s[-1] + usual_s) * FPS))
            for _ in range(num_out, num_frames):
                yield current
            num_declared = round(declared_s * FPS)
            if num_frames < WHOLE * num_declared:
                raise MediaError("truncated", f"{num_frames} of {num_declared} frames could be decoded")


def decode_sound(source: Source) -> np.ndarray:
    """The sound of a video or audio file; sample 0 is at the time of the first picture, if there is one.

    Earlier sound is cut; a later start and gaps are filled with silence. Channels become one (tasks/media/ear.py)
    before the rate is changed: FFmpeg's own stereo-to-mono mix in float gives peaks of 1.4.
    Shape: -> (samples,) float32, about [-1, 1], 16 kHz; as long as the file's sound: see `fit`
    Errors: MediaError unreadable, empty_file, no_sound. Damage causes a gap or an early end, not an error.
    """
    return np.concatenate(list(mono(source)))


def mono(source: Source) -> Generator[np.ndarray]:
    """`decode_sound` in blocks, at least one.  Shape: yields (n,) float32, 16 kHz.  Errors: as decode_sound"""
    return sound_from(source, first_picture_s(source))


def sound_from(source: Source, start_s: float | None) -> Generator[np.ndarray]:
    """`mono`, given the first picture's time stamp."""
    weights_C = ear_weights(source)
    with opened(source) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaError("no_sound", "there is no sound stream that can be decoded")
        any_yet = False
        channels = sound_blocks(container, stream)
        blocks = ((mixed(block, weights_C), time_s, rate_hz) for block, time_s, rate_hz in channels)
        for block in resampled(placed(blocks, start_s)):
            any_yet = True
            yield block[0]
    if not any_yet:
        raise MediaError("no_sound", "no sample of the sound could be decoded")


def fit(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """Cut to, or padded with silence to, 640 samples per frame.  Shape: (n,) -> (num_frames * 640,)"""
    whole = np.zeros(num_samples(num_frames), sound.dtype)
    cut = sound[: len(whole)]
    whole[: len(cut)] = cut
    return whole


def first_picture_s(source: Source) -> float | None:
    with opened(source) as container:
        stream = video_stream(container)
        frame = next(decoded(container, stream), None) if stream else None
        return frame.time if frame else None


def ear_weights(source: Source) -> np.ndarray | None:
    """With which weights the channels of a file become one: `Ear.weights` of all of its sound.

    Decodes the sound once, if it has several channels.  Errors: MediaError unreadable, empty_file
    """
    ear: Ear | None = None
    with opened(source) as container:
        stream = audio_stream(container)
        for frame in decoded(container, stream) if stream else ():
            speakers = [place.name for place in frame.layout.channels]
            if len(speakers) == 1:
                return None
            ear = ear or Ear(speakers)
            if len(speakers) == len(ear.speakers) and frame.sample_rate in RATES_HZ:
                ear.listen(floats(frame), frame.sample_rate)
    return ear.weights() if ear else None


def sound_blocks(container: InputContainer, stream: AudioStream) -> Iterator[Block]:
    """All channels as decoded, every sample finite."""
    for frame in decoded(container, stream):
        if frame.sample_rate not in RATES_HZ:
            continue
        yield floats(frame), frame.time, frame.sample_rate


def floats(frame: av.AudioFrame) -> np.ndarray:
    """Decoded sound of any sample format, every sample finite.  Shape: -> (channels, n) float32"""
    if frame.format.name not in ARRAYS or (frame.format.is_planar and len(frame.layout.channels) > MAX_PLANES):
        [frame] = av.AudioResampler(format="flt").resample(frame)
    samples: Any = frame.to_ndarray()
    if frame.format.is_packed:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        samples = samples.astype(np.float32) / (np.iinfo(samples.dtype).max + 1)
    samples = samples.astype(np.float32, copy=False)
    return samples if np.isfinite(samples).all() else np.nan_to_num(samples, posinf=0, neginf=0)


def placed(blocks: Iterable[Block], start_s: float | None) -> Iterator[tuple[np.ndarray, int]]:
    """(sound, rate) without gaps and overlaps from `start_s` on; None: from the first block on."""
    end_s, aligned = start_s, False
    for block, time_s, rate_hz in blocks:
        end_s = (time_s or 0.0) if end_s is None else end_s
        late_s = 0.0 if time_s is None else time_s - end_s
        if late_s > JUMP_S or (late_s < -JUMP_S and aligned):
            late_s = 0.0  # a broken time stamp
        if abs(late_s) > GAP_S or not aligned:
            late = round(late_s * rate_hz)
            silence = np.zeros((*block.shape[:-1], max(late, 0)), np.float32)
            block = np.concatenate([silence, block[..., max(-late, 0) :]], axis=-1)
        if block.shape[-1]:
            aligned = True
            end_s += block.shape[-1] / rate_hz
            yield block, rate_hz


def resampled(
    blocks: Iterable[tuple[np.ndarray, int]], wanted_hz: int = SAMPLE_RATE_HZ, layout: str = "mono"
) -> Iterator[np.ndarray]:
    """Sound at one rate; samples that already have it stay unchanged.  Shape: yields (channels, n) float32"""
    for rate_hz, group in itertools.groupby(blocks, key=lambda block: block[1]):
        if rate_hz == wanted_hz:
            yield from (np.atleast_2d(block) for block, _ in group)
            continue
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=wanted_hz)
        for block, _ in group:
            yield from (floats(out) for out in resampler.resample(audio_frame(np.atleast_2d(block), rate_hz, layout)))
        yield from (floats(out) for out in resampler.resample(None) if out)


def audio_frame(block_CN: np.ndarray, rate_hz: int, layout: str) -> av.AudioFrame:
    """The inverse of `floats`.  Shape: (channels, n) float32"""
    if len(block_CN) <= MAX_PLANES:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block_CN), format="fltp", layout=layout)
    else:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block_CN.T).reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate = rate_hz
    return frame
