"""Text -> speech with the time of every phoneme, by espeak-ng, loaded at run time from the wheel `espeakng-loader`.

espeak-ng is GPLv3 and therefore an optional extra; no part of it belongs to this project. It keeps the state of its
synthesis in C statics that no call resets, so the same text spoken twice sounds different. Therefore each utterance
loads a private copy of the shared object (0.7 MB, about 7 ms) and unloads it afterwards: speech is a pure function of
its arguments.

Source: espeak-ng's speak_lib.h (functions, event types), 1.52
"""

import ctypes
import functools
import importlib
import os
import re
import shutil
import tempfile
import threading
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from types import ModuleType

import numpy as np
from scipy.signal import resample_poly

from model.timing import SAMPLE_RATE_HZ, num_frames_of_sound, num_samples
from tasks.core.errors import UserError

# speak_lib.h
SYNCHRONOUS, PHONEME_EVENTS, DONT_EXIT = 2, 0x0001, 0x8000
RATE, PITCH, RANGE = 1, 3, 4
LIST_END, WORD, PHONEME = 0, 1, 7
UTF8 = 1

LOUDNESS = 0.12  # root mean square of every utterance, so that voices are equally loud
LEAD_S, TAIL_S = 0.12, 0.16  # silence before and after
_speaking = threading.Lock()

Spans = list[tuple[str, float, float]]  # label, start s, end s


class Missing(UserError):
    """espeak-ng is not installed."""


@dataclass(frozen=True, slots=True)
class Speech:
    """sound: float32 mono 16 kHz in [-1, 1], a whole number of frames (640 samples) long.

    phones: espeak's phoneme mnemonics in order; words: upper case, letters and apostrophes. Both (label, start, end)
    in seconds from the start of the sound. `_:` and the like are pauses.
    """

    sound: np.ndarray
    phones: Spans
    words: Spans


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position_ms", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Id),
    )  # fmt: skip


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class _Mark:
    """An event of the synthesis and the sample at which it begins."""

    type: int
    sample: int
    position: int  # of a word in the text, in characters from 1
    phoneme: str


def say(
    text: str, voice: str = "en", *, words_per_minute: int = 165, pitch: int = 50, liveliness: int = 50, seed: int = 1
) -> Speech:
    """Speak `text`; the same for the same arguments, in any process.

    voice       an espeak voice, with a variant after a plus: "en", "en-us+f3", "en-gb-x-rp+m2", "de"
    pitch       0 .. 100; `liveliness` is the range of the pitch, 0 .. 100
    Errors:     UserError if espeak-ng is missing, the voice is unknown, or there is nothing to say.
    """
    with _speaking:  # private copies are not thread-safe either: they share their data folder
        pcm, marks, rate_hz = _synthesise(text, voice, words_per_minute, pitch, liveliness, seed)
    if not pcm.any() or not any(mark.type == PHONEME for mark in marks):
        raise UserError(f"there is nothing to say in {text!r}")
    divisor = gcd(SAMPLE_RATE_HZ, rate_hz)
    voiced = resample_poly(pcm / 32768, SAMPLE_RATE_HZ // divisor, rate_hz // divisor)
    voiced = np.clip(voiced * (LOUDNESS / np.sqrt((voiced**2).mean())), -1, 1)
    lead = round(LEAD_S * SAMPLE_RATE_HZ)
    whole = num_samples(num_frames_of_sound(lead + len(voiced) + round(TAIL_S * SAMPLE_RATE_HZ)))
    sound = np.zeros(whole, np.float32)
    sound[lead : lead + len(voiced)] = voiced
    return Speech(sound, _phones(marks, len(pcm), rate_hz), _words(text, marks, len(pcm), rate_hz))


@functools.cache
def voices() -> frozenset[str]:
    """The names of its voices, in lower case and without variants; none where it is not installed."""
    try:
        folder = Path(_loader().get_data_path()) / "lang"
    except Missing:
        return frozenset()
    files = [file for file in folder.rglob("*") if file.is_file()]
    lines = [line.split() for file in files for line in file.read_text(errors="replace").splitlines()]
    languages = {line[1].lower() for line in lines if len(line) > 1 and line[0] == "language"}
    return frozenset(languages | {file.name.lower() for file in files})


def _loader() -> ModuleType:
    try:
        return importlib.import_module("espeakng_loader")
    except ImportError:
        raise Missing(
            "espeakng-loader is not installed: pip install -e '.[synthetic]', or pip install "
            "espeakng-loader (espeak-ng is GPLv3 and loaded at run time)"
        ) from None


def _synthesise(
    text: str, voice: str, words_per_minute: int, pitch: int, liveliness: int, seed: int
) -> tuple[np.ndarray, list[_Mark], int]:
    loader = _loader()
    library = _private_copy(Path(loader.get_library_path()))
    rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, os.fsencode(loader.get_data_path()), PHONEME_EVENTS | DONT_EXIT)
    if rate_hz <= 0:
        raise UserError(f"espeak-ng does not start with the data in {loader.get_data_path()}")
    blocks: list[np.ndarray] = []
    marks: list[_Mark] = []

    def receive(samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]") -> int:
        if count > 0 and samples:
            blocks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
        index = 0
        while events[index].type != LIST_END:
            marks.append(_mark(events[index]))
            index += 1
        return 0

    callback = _Callback(receive)  # this reference keeps it alive during the synthesis
    library.espeak_SetSynthCallback(callback)
    try:
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(f"espeak-ng has no voice {voice!r}; voices look like en, en-us+f3, en-gb-x-rp+m2")
        for parameter, value in ((RATE, words_per_minute), (PITCH, pitch), (RANGE, liveliness)):
            library.espeak_SetParameter(parameter, value, 0)
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        spoken = text.encode() + b"\0"
        size, no_end = ctypes.c_size_t(len(spoken)), ctypes.c_uint(0)
        failed = library.espeak_Synth(spoken, size, 0, 1, no_end, UTF8, None, None)
        assert not failed, failed
        library.espeak_Synchronize()
    finally:
        library.espeak_Terminate()
        ctypes.CDLL(None).dlclose(ctypes.c_void_p(library._handle))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.int16), marks, rate_hz


def _private_copy(library: Path) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        copy = Path(folder) / library.name
        shutil.copyfile(library, copy)
        return ctypes.CDLL(str(copy))


def _mark(event: _Event) -> _Mark:
    raw = ctypes.string_at(ctypes.addressof(event) + _Event.id.offset, 8)  # 8 bytes, with a final zero only if shorter
    phoneme = raw.split(b"\0")[0].decode("utf8", "replace") if event.type == PHONEME else ""
    return _Mark(event.type, event.sample, event.text_position, phoneme)


def _phones(marks: list[_Mark], num_pcm: int, rate_hz: int) -> Spans:
    starts = [(mark.phoneme, mark.sample) for mark in marks if mark.type == PHONEME]
    ends = [sample for _, sample in starts[1:]] + [num_pcm]
    return [
        (phoneme, LEAD_S + start / rate_hz, LEAD_S + end / rate_hz)
        for (phoneme, start), end in zip(starts, ends, strict=True)
        if not phoneme.startswith("(")  # "(en)": a change of language, not a sound
    ]


def _words(text: str, marks: list[_Mark], num_pcm: int, rate_hz: int) -> Spans:
    """Every word of the text once. espeak merges short ones ("in the"): their time is divided in proportion to their
    letters.
    """
    starts = {mark.position - 1: mark.sample for mark in reversed(marks) if mark.type == WORD}
    groups: list[tuple[list[str], int]] = []  # words that begin at the same known sample
    for match in re.finditer(r"\S+", text):
        word = re.sub(r"[^\w']", "", match.group()).upper()
        sample = next((starts[at] for at in range(*match.span()) if at in starts), None)
        if sample is not None:
            groups.append(([], sample))
        if word and groups:
            groups[-1][0].append(word)
    spans: Spans = []
    for (words, start), (_, end) in zip(groups, [*groups[1:], ([], num_pcm)], strict=True):
        letters = np.cumsum([0, *map(len, words)])
        times = (LEAD_S + (start + (end - start) * letters / max(letters[-1], 1)) / rate_hz).tolist()
        spans += zip(words, times[:-1], times[1:], strict=True)
    return spans
