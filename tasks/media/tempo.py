"""A spoken line without the silence around it, and faster or slower at the same pitch, by FFmpeg's atempo (WSOLA)."""

from fractions import Fraction
from typing import Any

import av
import numpy as np

from tasks.media.decode import audio_frame, floats

STEP_S = 0.01
QUIET_DB = 40.0  # below the loudest step: silence
MARGIN_S = 0.03  # of it that is kept on either side
SAME = 1e-3  # a smaller change of speed is none
FADE_S = 0.005  # at either end, against a click


def spoken_part(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """The sound from its first to its last loud step; all of it where nothing is loud.  Shape: (n,) -> (m,)"""
    step = max(1, round(STEP_S * rate_hz))
    whole = sound[: len(sound) // step * step].reshape(-1, step)
    level_N = np.sqrt(np.square(whole).mean(axis=1)) if len(whole) else np.zeros(0)
    loud = np.flatnonzero(level_N > level_N.max(initial=0.0) * 10 ** (-QUIET_DB / 20))
    if not len(loud):
        return sound
    margin = round(MARGIN_S * rate_hz)
    return sound[max(0, loud[0] * step - margin) : (loud[-1] + 1) * step + margin]


def changed(sound: np.ndarray, rate_hz: int, speed: float) -> np.ndarray:
    """`speed` times as fast, at the same pitch.  Shape: (n,) float32 -> (round(n / speed),) float32"""
    if abs(speed - 1) < SAME or not len(sound):
        return sound
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate_hz, format="fltp", layout="mono", time_base=Fraction(1, rate_hz))
    tempo, sink = graph.add("atempo", f"{speed:.6f}"), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    frame = audio_frame(sound[None], rate_hz, "mono")
    frame.pts = 0
    source.push(frame)
    source.push(None)
    parts = []
    while True:
        try:
            pulled: Any = sink.pull()
            parts.append(floats(pulled)[0])
        except (av.EOFError, av.BlockingIOError):
            break
    made, num = np.concatenate([*parts, np.zeros(0, np.float32)]), round(len(sound) / speed)
    return np.pad(made[:num], (0, max(0, num - len(made)))).astype(np.float32)


def faded(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """Without a click at either end.  Shape: (n,) -> (n,) float32"""
    num = min(round(FADE_S * rate_hz), len(sound) // 2)
    ramp, faded = np.linspace(0, 1, num + 2)[1:-1], sound.astype(np.float32, copy=True)
    faded[:num] *= ramp
    faded[len(faded) - num :] *= ramp[::-1]
    return faded
