"""LRS2's lists and transcripts: its clips, their splits and their words.

Source: list lines are `<video>/<clip>`, followed by a second word (NF, MV) in test.txt; the clips of pretrain.txt are
in the part `pretrain`, those of the others in `main`. A transcript: `Text:  WORDS`, `Conf: 4`; in pretrain a table
`WORD START END ASDSCORE` follows, in seconds.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import UserError

LISTS = ("pretrain", "train", "val", "test")
HELD_OUT = ("val", "test")
NAME = re.compile(r"\d+/\d+")
MARK = re.compile(r"\{[^{}]*\}")  # {NS}, {LG}: noise, laughter


def read(folder: Path, names: Iterable[str] = LISTS) -> dict[str, str]:
    """Clip -> split, of all lists: {"main/5535415699068794046/00001": "test"}.

    Errors: UserError if a list is missing, has a malformed line, or names a clip twice.
    """
    splits: dict[str, str] = {}
    for split in names:
        path = folder / f"{split}.txt"
        if not path.is_file():
            raise UserError(f"{path}: no such list; LRS2's lists ({', '.join(LISTS)}) must be beside its parts")
        part = "pretrain" if split == "pretrain" else "main"
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if not (words := line.split()):
                continue
            if not NAME.fullmatch(words[0]):
                raise UserError(f"{path}:{number}: must be <video>/<clip>, got {line[:60]!r}")
            clip = f"{part}/{words[0]}"
            if clip in splits:
                raise UserError(f"{path}:{number}: {words[0]} is listed already in {splits[clip]}.txt")
            splits[clip] = split
    if not splits:
        raise UserError(f"{folder}: the lists are empty")
    return splits


def held_out_videos(splits: dict[str, str]) -> dict[str, str]:
    """Programme -> the held-out split it is in: none of its clips may be trained on."""
    return {clip.split("/")[1]: split for clip, split in splits.items() if split in HELD_OUT}


@dataclass(frozen=True, slots=True)
class Transcript:
    """words: (word, start in seconds, end in seconds) for pretrain clips; otherwise empty."""

    text: str  # upper case, one line, without marks; "" if the file has no Text: line
    confidence: float | None
    words: list[tuple[str, float, float]]


def transcript(content: bytes) -> Transcript:
    """Parse a transcript leniently: a clip with good picture and sound is not refused for its transcript."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # a few files are
    spoken, confidence, in_table = "", None, False
    words: list[tuple[str, float, float]] = []
    for line in text.splitlines():
        name, _, value = line.partition(":")
        columns = line.split()
        if in_table and len(columns) >= 3 and (times := _seconds(columns[1], columns[2])):
            words.append((columns[0], times[0], times[1]))
        elif name == "Text":
            spoken = " ".join(MARK.sub(" ", value).split()).upper()
        elif name == "Conf":
            confidence = number[0] if (number := _seconds(value.strip())) else None
        elif columns[:3] == ["WORD", "START", "END"]:
            in_table = True
    return Transcript(spoken, confidence, [word for word in words if not MARK.fullmatch(word[0])])


def _seconds(*values: str) -> tuple[float, ...] | None:
    try:
        return tuple(float(value) for value in values)
    except ValueError:
        return None
