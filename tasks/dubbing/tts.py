"""Text to speech: by espeak-ng, or by any command that writes a wav."""

import shlex
import sys
import wave
from pathlib import Path

import numpy as np

from model import timing
from tasks.core import names, programs, texts
from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.media import alphabets, espeak

VOICE = "en"


def text_of(word: str) -> str:
    """What `--text` means: the text itself, @FILE for the text in a file, or - for that of standard input.

    Errors: UserError for a file that is missing, or not text
    """
    if word != "-" and not (word.startswith("@") and len(word) > 1):
        return word
    source = "standard input" if word == "-" else word[1:]
    content = sys.stdin.buffer.read() if word == "-" else read_bytes(Path(source))
    try:
        return texts.decoded(content)
    except UnicodeDecodeError as error:
        raise UserError(f"--text: {source}: not a text in UTF-8, or in another encoding with a mark (BOM)") from error


def read_bytes(path: Path) -> bytes:
    try:
        return demand_file(path, "a text that begins with @ names a file", "--text @FILE:").read_bytes()
    except OSError as error:
        raise UserError(f"--text: {path}: {error.strerror}") from error


def speak(text: str, out: Path, tts: str | None, voice: str | None) -> None:
    """Errors: UserError where the text is not valid Unicode or has no speech, the voice does not speak its letters,
    espeak-ng is missing, or the command fails or writes nothing
    """
    if (shown := names.valid(text)) != text:
        raise UserError(f"--text: not UTF-8: {shown!r}")
    if tts is None:
        alphabets.demand_spoken(text, voice or VOICE)
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
