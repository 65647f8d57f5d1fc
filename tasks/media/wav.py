"""Sound into a wav of 16 bits."""

import wave
from pathlib import Path

import numpy as np

from model import timing


def write_wav(path: Path, sound_N: np.ndarray, rate_hz: int = timing.SAMPLE_RATE_HZ) -> None:
    """Shape: (N,) mono, -1 .. 1"""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(sound_N, -1, 1) * 32767).astype("<i2").tobytes())
