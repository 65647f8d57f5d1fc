"""`--span`: a sound file, when it begins and who speaks it, as 00:01:02.5=line.wav@2. A cell of a job list may hold
several.

The speaker after the @ is written as for --speaker. A file's name may have an @ too: what stands after `=` is the file
if there is one of that name; else the file is the longest part before an @ that is one. Quotes end it anyway:
'take@2.wav'@0.
"""

import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tasks.core.errors import UserError

WHEN = r"(?:(?:\d{1,9}:)?\d{1,9}:)?\d{1,9}(?:[.,]\d+)?"  # subtitles and some spreadsheets write a comma
SPAN = re.compile(rf"\s*({WHEN})=(.+)", re.DOTALL)
QUOTED = r"\"[^\"]*\"|'[^']*'"
QUOTED_BY = re.compile(rf"({QUOTED})@(.+)", re.DOTALL)
# a speaker that is no file: where there is no sound of the name, the error names the file without it
SPEAKER = re.compile(r"\d{1,9}|\d+(?:\.\d+)?,\d+(?:\.\d+)?@\d+(?:\.\d+)?|person:.+", re.DOTALL)
ONE_OF_SEVERAL = re.compile(rf"\s*({WHEN})=({QUOTED}|.+?)(?=\s+{WHEN}=|\s*$)", re.DOTALL)


class Span(NamedTuple):
    """New words: a sound file, and when it begins.

    speaker  as of --speaker; None: the one that --speaker names, or else the one whose mouth matches the original audio
    until_s  to where the original sound and mouth are replaced, if that is after the sound's end
    about    for the sidecar: how a cue of --subtitles came to this sound
    """

    start_s: float
    path: str
    speaker: str | None = None
    until_s: float = 0.0
    about: Mapping[str, Any] = MappingProxyType({})


def one(text: str) -> Span:
    """ "00:01:02.5=my line.wav@2" -> Span(62.5, "my line.wav", "2").  Errors: UserError"""
    match = SPAN.fullmatch(text)
    if not match:
        raise UserError(f"--span {text}: wanted [HH:MM:]SS=SOUND[@SPEAKER], as 00:01:02.5=line.wav or 62.5=line.wav@2")
    return Span(seconds(match[1]), *spoken_by(match[2]))


def several(cell: str) -> list[Span]:
    """ "62.5=a.wav@1 1:09='my line.wav'" -> [Span(62.5, "a.wav", "1"), Span(69.0, "my line.wav")]

    A plain path -> []
    """
    found, at = [], 0
    while match := ONE_OF_SEVERAL.match(cell, at):
        found.append(Span(seconds(match[1]), *spoken_by(match[2])))
        at = match.end()
    return found if not cell[at:].strip() else []


def spoken_by(word: str) -> tuple[str, str | None]:
    """The sound file, and its speaker if one is named: see the module's description."""
    if (quoted := QUOTED_BY.fullmatch(word)) and not os.path.exists(word):
        return path(quoted[1]), quoted[2]
    at_signs = [match.start() for match in re.finditer("@", word)]
    splits = [(word[:at], word[at + 1 :]) for at in reversed(at_signs) if 0 < at < len(word) - 1]
    if os.path.isfile(word) or not splits:
        return path(word), None
    there = next((split for split in splits if os.path.isfile(split[0])), None)
    named = next((split for split in reversed(splits) if SPEAKER.fullmatch(split[1])), None)
    return there or named or (path(word), None)


def seconds(when: str) -> float:
    total = 0.0
    for part in when.replace(",", ".").split(":"):
        total = 60 * total + float(part)
    return total


def path(word: str) -> str:
    """A file as it is written; quotes around it count only if they are no part of its name."""
    if re.fullmatch(QUOTED, word) and not os.path.exists(word):
        return word[1:-1]
    return word


def paths(cell: str) -> tuple[str, ...]:
    """Files separated by spaces, those with spaces in quotes; or one file whose name has spaces."""
    if os.path.exists(cell):  # unlike Path.exists, false for what is too long for a name: a list of files
        return (cell,)
    return tuple(path(word) for word in re.findall(rf"{QUOTED}|\S+", cell))
