"""Reads subtitles (SubRip and WebVTT) strictly: what is said, when, and by whom if the file names it.

Players skip what they cannot read. A dub must not: a line that is skipped is a line that nobody says. Therefore every
block is a cue with times and words, or an error with the cue's number; the libraries at hand (pysubs2, srt,
webvtt-py) leave broken blocks out in silence, and that is why none is used.

A speaker is named by `Name:` at the start of a line, as in "Anna: Good morning.", or by WebVTT's `<v Anna>`. Not
spoken: tags, what stands in square brackets ("[a door slams]"), and song lines between notes.

Source: WebVTT, W3C Candidate Recommendation of 2019-04-04, sections 4 and 6; SubRip has no standard
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.core import texts
from tasks.core.errors import UserError
from tasks.core.files import demand_file
from tasks.core.progress import say

MOST_BYTES = 16 << 20  # a film has some 100 kB
ARROW = "-->"
STAMP = r"(?:(\d{1,3}):)?([0-5]\d):([0-5]\d)[.,](\d{1,3})"
TIMES = re.compile(rf"\s*{STAMP}\s*{ARROW}\s*{STAMP}(?:\s.*)?")
NOT_CUES = re.compile(r"(NOTE|STYLE|REGION)(\s|$)")  # blocks of WebVTT beside the cues
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>")
TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
NOT_SPOKEN = re.compile(r"\[[^\[\]]*\]|[♪♫][^♪♫]*[♪♫]?")
WORD = r"[^\W_][\w.'\u2019-]*"  # with either apostrophe
DASH = r"[-\u2013\u2014]"  # before a speaker's words, in dialogue
NAMED = re.compile(rf"\s*(?:{DASH}\s*)?({WORD}(?: {WORD}){{0,2}})\s*(?::(?:\s+|$)|\uff1a\s*)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that one person says.

    number      as the file counts it, or else from 1: that of the subtitle that it is (a part of)
    name        of the speaker as the file gives it; None where it gives none
    """

    number: int
    start_s: float
    end_s: float
    name: str | None
    text: str

    def __str__(self) -> str:
        return f"cue {self.number} ({stamp(self.start_s)})"


def stamp(time_s: float) -> str:
    """62.5 -> 00:01:02.500"""
    ms = round(time_s * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def refuse(path: Path | str, problems: Sequence[str]) -> None:
    """Say each problem on a line of its own.  Errors: UserError with the first, where there is one"""
    if not problems:
        return
    for problem in problems[1:]:
        say(f"{path}: {problem}")
    more = f" (and {len(problems) - 1} more, listed above)" if len(problems) > 1 else ""
    raise UserError(f"{path}: {problems[0]}{more}")


def read(path: Path) -> list[Cue]:
    """The cues by their start.  Errors: UserError for a file that is not subtitles, and for a cue that is broken"""
    try:
        if demand_file(path, "it is to hold subtitles").stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: larger than {MOST_BYTES >> 20} MB: these are no subtitles")
        content = texts.decoded(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text in UTF-8, or in another encoding with a mark (BOM); save it so") from error
    cues, problems = parse(content)
    refuse(path, problems)
    if not cues:
        raise UserError(f"{path}: there is no cue in it; wanted subtitles as srt or vtt")
    return cues


def parse(content: str) -> tuple[list[Cue], list[str]]:
    """The cues by their start, and what is wrong, with the cue's number each."""
    blocks = list(blocks_of(content))
    is_vtt = bool(blocks) and re.match(r"WEBVTT(\s|$)", blocks[0][0]) is not None
    cues: list[Cue] = []
    problems: list[str] = []
    order = 0
    for lines in blocks[1:] if is_vtt else blocks:
        if is_vtt and NOT_CUES.match(lines[0]):
            continue
        order += 1
        try:
            cues += cues_of(lines, order)
        except ValueError as error:
            problems.append(str(error))
    return sorted(cues, key=lambda cue: cue.start_s), problems


def blocks_of(content: str) -> Iterator[list[str]]:
    """The blocks of lines between empty lines."""
    for block in re.split(r"\n[ \t]*(?:\n[ \t]*)+", re.sub(r"\r\n?", "\n", content).strip()):
        if block:
            yield block.split("\n")


def cues_of(lines: list[str], order: int) -> list[Cue]:
    """The cues of one block: one for each voice in it, with a share of its time; none where nothing is spoken.

    Errors: ValueError
    """
    at = next((k for k, line in enumerate(lines[:2]) if ARROW in line), None)
    number = int(lines[0]) if at == 1 and re.fullmatch(r"\s*[0-9]{1,9}\s*", lines[0]) else order
    if at is None:
        raise ValueError(f"cue {number}: no times in it, wanted 00:00:01,000 --> 00:00:02,500: {lines[0][:60]!r}")
    match = TIMES.fullmatch(lines[at])
    if not match:
        raise ValueError(f"cue {number}: broken times, wanted 00:00:01,000 --> 00:00:02,500: {lines[at][:60]!r}")
    start_s, end_s = seconds(*match.groups()[:4]), seconds(*match.groups()[4:])
    if end_s <= start_s:
        raise ValueError(f"cue {number}: it ends at {stamp(end_s)}, which is not after its start, {stamp(start_s)}")
    if extra := next((line for line in lines[at + 1 :] if ARROW in line), None):
        raise ValueError(f"cue {number}: no empty line before the next cue's times: {extra[:60]!r}")
    written = [clean(line) for line in lines[at + 1 :]]
    if not any(written):
        raise ValueError(f"cue {number} ({stamp(start_s)}): it is empty; give it words or take it out")
    said = [(name, spoken) for name, text in voices(lines[at + 1 :]) if (spoken := without_noise(text))]
    shares = [0, *(len(text) for _, text in said)]
    times_s = [start_s + (end_s - start_s) * sum(shares[: k + 1]) / max(1, sum(shares)) for k in range(len(shares))]
    return [Cue(number, times_s[k], times_s[k + 1], name, text) for k, (name, text) in enumerate(said)]


def seconds(hours: str | None, minutes: str, whole: str, part: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(whole) + int(part.ljust(3, "0")) / 1000


def voices(lines: Sequence[str]) -> list[tuple[str | None, str]]:
    """Who says what in the lines of a cue, in order."""
    text = "\n".join(lines)
    parts = VOICE.split(text)  # before the first voice, then name and text by turns
    if len(parts) > 1:
        before = [(None, clean(parts[0]))] if clean(parts[0]) else []
        return [
            *before,
            *((clean(name) or None, clean(text)) for name, text in zip(*[iter(parts[1:])] * 2, strict=True)),
        ]
    said: list[tuple[str | None, str]] = []
    for line in map(clean, lines):
        if (named := NAMED.fullmatch(line)) and not named[1][0].islower():
            said.append((named[1], named[2]))
        elif said:
            said[-1] = (said[-1][0], f"{said[-1][1]} {line}".strip())
        else:
            said.append((None, line))
    return said


def clean(text: str) -> str:
    """Without tags, on one line."""
    return " ".join(html.unescape(TAG.sub("", text)).split())


def without_noise(text: str) -> str:
    """What is spoken of a text; "" where that has no letter and no digit."""
    spoken = " ".join(re.sub(rf"^\s*{DASH}\s*", "", NOT_SPOKEN.sub(" ", text)).split())
    return spoken if any(letter.isalnum() for letter in spoken) else ""
