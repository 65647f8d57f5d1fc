"""Natural voices of English, by hibari-tts: offline, a hundred times faster than speech on one core.

One voice comes with the package; the others are files of 8 MB that `hibari` fetches when its user asks for them.
Nothing is fetched from here.

Source: hibari-tts 0.2 (Apache-2.0; extra `voices`), distilled from Kokoro-82M (Apache-2.0)
"""

import functools
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.errors import UserError

VOICES = {
    "heart": "American, female", "fenrir": "American, male", "kore": "American, female",
    "emma": "British, female", "fable": "British, male",
}  # fmt: skip
DEFAULT = "heart"  # the one in the package


def installed() -> bool:
    return importlib.util.find_spec("hibari") is not None


def demand(voice: str) -> None:
    """Errors: UserError where the package is missing, or the voice's file is not on this machine"""
    if not installed():
        raise UserError(f"voice {voice} needs hibari-tts: pip install hibari-tts, or the extra `voices`")
    try:
        Path(importlib.import_module("hibari.voices").voice_path(voice, download_missing=False))
    except FileNotFoundError as error:
        raise UserError(
            f"voice {voice} is not on this machine yet; `hibari Hello --voice {voice} -o hello.wav` fetches it (8 MB)"
        ) from error


def here() -> list[str]:
    """The voices that can speak now."""
    offered = []
    for voice in VOICES:
        try:
            demand(voice)
        except UserError:
            continue
        offered.append(voice)
    return offered


def say(text: str, voice: str) -> tuple[np.ndarray, int]:
    """The same sound for the same text.  Shape: (N,) float32, -1 .. 1; its rate in Hz

    Errors: UserError for a text with nothing to say, and as of `demand`
    """
    demand(voice)
    speaker = _speaker(voice)
    if not any(symbol.isalpha() for phones in speaker.phonemize(text) for symbol in phones):
        raise UserError(f"there is nothing to say in {text!r}")
    return np.asarray(speaker(text, seed=0), np.float32), int(speaker.sample_rate)


@functools.lru_cache(maxsize=2)
def _speaker(voice: str) -> Any:
    return importlib.import_module("hibari").Hibari(voice=voice)
