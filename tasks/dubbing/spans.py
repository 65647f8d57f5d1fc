"""`--span`: a sound file and when it begins, as 00:01:02.5=line.wav. A cell of a job list may hold several."""

import os
import re

from tasks.core.errors import UserError

WHEN = r"(?:(?:\d{1,9}:)?\d{1,9}:)?\d{1,9}(?:[.,]\d+)?"  # subtitles and some spreadsheets write a comma
SPAN = re.compile(rf"\s*({WHEN})=(.+)", re.DOTALL)
QUOTED = r"\"[^\"]*\"|'[^']*'"
ONE_OF_SEVERAL = re.compile(rf"\s*({WHEN})=({QUOTED}|.+?)(?=\s+{WHEN}=|\s*$)", re.DOTALL)

Span = tuple[float, str]  # start in s, sound file


def one(text: str) -> Span:
    """ "00:01:02.5=my line.wav" -> (62.5, "my line.wav").  Errors: UserError"""
    match = SPAN.fullmatch(text)
    if not match:
        raise UserError(f"--span {text}: wanted [HH:MM:]SS=SOUND, as 00:01:02.5=line.wav")
    return seconds(match[1]), path(match[2])


def several(cell: str) -> list[Span]:
    """ "62.5=a.wav 1:09='my line.wav'" -> [(62.5, "a.wav"), (69.0, "my line.wav")]; a plain path -> []"""
    found, at = [], 0
    while match := ONE_OF_SEVERAL.match(cell, at):
        found.append((seconds(match[1]), path(match[2])))
        at = match.end()
    return found if not cell[at:].strip() else []


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
