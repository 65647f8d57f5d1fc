"""Small media files of many kinds, made in memory for tests."""

import io
from fractions import Fraction

import av
import numpy as np

RATE_HZ = 16_000


def voice(seconds: float = 2.0) -> np.ndarray:
    """Syllables of a buzz with pauses between them: moves as speech does.  Shape: -> (n,) float32, 16 kHz"""
    t_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    buzz = np.sin(2 * np.pi * 150 * t_s) + 0.5 * np.sin(2 * np.pi * 450 * t_s)
    return (0.2 * buzz * np.clip(np.sin(2 * np.pi * 2 * t_s), 0, 1)).astype(np.float32)


def tone(num: int, level: float = 0.2) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 300 * np.arange(num) / RATE_HZ)).astype(np.float32)


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12))


def media(
    kind: str, tracks: list[tuple[str, str, int, np.ndarray]], video: str | None = None,
    size: tuple[int, int] = (64, 64), num_frames: int = 50, default: int | None = None, pix_fmt: str = "yuv420p",
) -> bytes:  # fmt: skip
    """A file of container `kind`.

    tracks: (codec, layout, rate, samples (channels, n)) of each sound track.  video: codec of a grey picture
    default: number of the track that is marked so; None: what the container does by itself
    """
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as whole:
        picture = whole.add_stream(video, rate=25) if video else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = *size, pix_fmt
        streams = [whole.add_stream(codec, rate=rate, layout=layout) for codec, layout, rate, _ in tracks]
        for number, stream in enumerate(streams if default is not None else []):
            stream.disposition = 1 if number == default else 0
        if picture:
            for number in range(num_frames):
                frame = av.VideoFrame.from_ndarray(np.full((*size[::-1], 3), 40 + number, np.uint8), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                whole.mux(picture.encode(frame))
            whole.mux(picture.encode(None))
        whole.start_encoding()
        for stream, (_, layout, rate, samples) in zip(streams, tracks, strict=True):
            for packet in packets(stream, layout, rate, samples):
                whole.mux(packet)
    return out.getvalue()


def packets(stream, layout: str, rate: int, samples: np.ndarray):
    packed = np.ascontiguousarray(np.atleast_2d(samples).T, np.float32).reshape(1, -1)
    whole = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    whole.sample_rate = rate
    fifo = av.AudioFifo()
    fifo.write(whole)
    at = 0
    while frame := fifo.read(stream.codec_context.frame_size or rate // 25, partial=True):
        frame.pts, frame.time_base = at, Fraction(1, rate)
        at += frame.samples
        yield stream.encode(frame)
    yield stream.encode(None)
