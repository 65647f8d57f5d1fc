"""Text to speech: English by hibari-tts where it is installed, the rest by espeak-ng, or by any command that writes a
wav.
"""

import shlex
import sys
from pathlib import Path

import numpy as np

from model.timing import SAMPLE_RATE_HZ
from tasks.core import names, programs, texts
from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.media import espeak
from tasks.media.wav import write_wav
from tasks.voices import alphabets, languages, natural

ENGLISH = "en"  # of a text that does not show its language
OF_LANGUAGE = {"zh": "cmn"}  # espeak-ng's voices are named by ISO 639, but for these


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


def voice_for(text: str, voice: str | None, language: str | None) -> str:
    """The name of the voice that speaks a text, one of natural.VOICES or of espeak-ng's.

    voice, language  as told; None: the language that the text shows, else English, and that language's voice
    Errors: UserError for a voice that does not speak the language or the letters of the text, for a text that is not
            valid Unicode, and for a natural voice that is not here
    """
    if (shown := names.valid(text)) != text:
        raise UserError(f"--text: not UTF-8: {shown!r}")
    known = language_code(language) if language else None
    if voice is None:
        spoken = known or languages.seen(text) or ENGLISH
        voice = natural.DEFAULT if spoken == ENGLISH and natural.installed() else OF_LANGUAGE.get(spoken, spoken)
    else:
        demand_language(text, voice, known)
    if voice in natural.VOICES:
        natural.demand(voice)
    alphabets.demand_spoken(text, ENGLISH if voice in natural.VOICES else voice, called=voice)
    return voice


def language_code(language: str) -> str:
    """ISO 639 of "de", "de-AT" or "DE".  Errors: UserError for a language without a voice"""
    code = languages.of_voice(language.replace("_", "-"))
    if code not in languages.SPOKEN:
        raise UserError(
            f"--language {language}: no voice speaks it; known: {', '.join(languages.SPOKEN)}; --tts may speak others"
        )
    return code


def demand_language(text: str, voice: str, told: str | None) -> None:
    """Errors: UserError where the voice speaks another language than the one told or, if none is, shown by the text"""
    speaks = ENGLISH if voice in natural.VOICES else languages.of_voice(voice)
    shown = told or languages.seen(text)
    named = voice in natural.VOICES or voice.lower().partition("+")[0] in espeak.voices()  # others espeak-ng refuses
    if not named or speaks not in languages.SPOKEN or shown in (None, speaks):
        return
    if told or alphabets.speaks(voice, alphabets.main_script(text)):  # letters it lacks have a line of their own
        advice = "" if told else f", or --language {speaks} if it is {languages.name(speaks)}"
        raise UserError(
            f"--voice {voice} speaks {languages.name(speaks)}, and the text is {languages.name(str(shown))}: "
            f"--voice {OF_LANGUAGE.get(str(shown), shown)} speaks it{advice}"
        )


def speak(text: str, out: Path, tts: str | None, voice: str | None, language: str | None = None) -> None:
    """Errors: UserError as of `voice_for`; where the text has no speech, espeak-ng is missing, or the command fails or
    writes nothing
    """
    if tts is None:
        chosen = voice_for(text, voice, language)
        sound_N, rate_hz = said(text, chosen)
        write_wav(out, sound_N, rate_hz)
        return
    if (shown := names.valid(text)) != text:
        raise UserError(f"--text: not UTF-8: {shown!r}")
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


def said(text: str, voice: str) -> tuple[np.ndarray, int]:
    """A text by a voice that `voice_for` named, all voices equally loud.  Shape: (N,) float32, -1 .. 1; rate in Hz"""
    if voice not in natural.VOICES:
        return espeak.say(text, voice).sound, SAMPLE_RATE_HZ
    sound_N, rate_hz = natural.say(text, voice)
    level = float(np.sqrt(np.mean(np.square(sound_N, dtype=np.float64))))
    return np.clip(sound_N * (espeak.LOUDNESS / max(level, 1e-9)), -1, 1).astype(np.float32), rate_hz
