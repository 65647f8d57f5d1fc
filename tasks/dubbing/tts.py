"""Text to speech: by espeak-ng, or by any command that writes a wav."""

import shlex
import wave
from pathlib import Path

import numpy as np

from model import timing
from tasks.core import programs
from tasks.core.errors import UserError
from tasks.media import espeak

VOICE = "en"


def speak(text: str, out: Path, tts: str | None, voice: str | None) -> None:
    """Errors: UserError where the text has no speech, espeak-ng is missing, or the command fails or writes nothing"""
    if tts is None:
        write_wav(out, espeak.say(text, voice or VOICE).sound)
        return
    try:
        words = shlex.split(tts)
    except ValueError as error:
        raise UserError(f"--tts: {str(error).lower()}: {tts}") from error
    if not {"{text}", "{out}"} <= set(words):
        raise UserError(
            f"--tts must contain the words {{text}} and {{out}}, as in 'piper --text {{text}} -f {{out}}': {tts}"
        )
    programs.run([{"{text}": text, "{out}": str(out)}.get(word, word) for word in words], "--tts")
    if not out.is_file():
        raise UserError(f"--tts: {words[0]} succeeded, but did not write {out.name}")


def write_wav(path: Path, sound: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(timing.SAMPLE_RATE_HZ)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
