"""LRS2's lists and transcripts: which clips there are, in which split, and what is said in them.

Source: list lines are `<video>/<clip>`, in test.txt a second word (NF, MV) follows; the clips of pretrain.txt lie in
the part `pretrain`, those of the others in `main`. A transcript: `Text:  WORDS`, `Conf: 4`; in pretrain a table
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

    Errors: UserError where a list is not there, has a line of another kind, or names a clip a second time.
    """
    splits: dict[str, str] = {}
    for split in names:
        path = folder / f"{split}.txt"
        if not path.is_file():
            raise UserError(f"{path}: no such list; LRS2's lists ({', '.join(LISTS)}) lie beside its parts")
        part = "pretrain" if split == "pretrain" else "main"
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if not (words := line.split()):
                continue
            if not NAME.fullmatch(words[0]):
                raise UserError(f"{path}:{number}: wanted <video>/<clip>, got {line[:60]!r}")
            clip = f"{part}/{words[0]}"
            if clip in splits:
                raise UserError(f"{path}:{number}: {words[0]} is listed before, in {splits[clip]}.txt")
            splits[clip] = split
    if not splits:
        raise UserError(f"{folder}: the lists are empty")
    return splits


def held_out_videos(splits: dict[str, str]) -> dict[str, str]:
    """Programme -> the held-out split it is in: none of its clips may be trained on."""
    return {clip.split("/")[1]: split for clip, split in splits.items() if split in HELD_OUT}


@dataclass(frozen=True, slots=True)
class Transcript:
    """words: of pretrain, (word, start in seconds, end in seconds); empty elsewhere."""

    text: str  # upper case, one line, without marks; "" where the file has no Text: line
    confidence: float | None
    words: list[tuple[str, float, float]]


def transcript(content: bytes) -> Transcript:
    """A transcript as far as it can be read: nothing in it stops a clip whose picture and sound are good."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # a few files are
    said, confidence, in_table = "", None, False
    words: list[tuple[str, float, float]] = []
    for line in text.splitlines():
        name, _, value = line.partition(":")
        columns = line.split()
        if in_table and len(columns) >= 3 and (times := _seconds(columns[1], columns[2])):
            words.append((columns[0], times[0], times[1]))
        elif name == "Text":
            said = " ".join(MARK.sub(" ", value).split()).upper()
        elif name == "Conf":
            confidence = number[0] if (number := _seconds(value.strip())) else None
        elif columns[:3] == ["WORD", "START", "END"]:
            in_table = True
    return Transcript(said, confidence, [word for word in words if not MARK.fullmatch(word[0])])


def _seconds(*values: str) -> tuple[float, ...] | None:
    try:
        return tuple(float(value) for value in values)
    except ValueError:
        return None
