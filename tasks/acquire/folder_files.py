"""Every entry of a folder of videos: links are followed, and what is no file has a row too.

A transcript is a .txt with the name of a video beside it: talk.txt or talk.mov.txt beside talk.mov.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.core import texts
from tasks.media import decode


@dataclass(frozen=True, slots=True)
class Entry:
    """A file; or something else, with `problem` = (reason, detail)."""

    path: Path
    problem: tuple[str, str] | None = None


def entries(folder: Path) -> list[Entry]:
    """All of them, sorted by path."""
    return sorted(walked(folder, {identity(folder)}), key=lambda entry: entry.path)


def walked(folder: Path, above: set[tuple[int, int]]) -> Iterator[Entry]:
    """above: the folders that lead here; a link to one of them is a loop"""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        yield Entry(folder, ("unreadable", f"the folder cannot be read: {error.strerror}"))
        return
    for name in names:
        path = folder / name
        if problem := problem_of(path, above):
            yield Entry(path, problem)
        elif path.is_dir():
            yield from walked(path, above | {identity(path)})
        else:
            yield Entry(path)


def problem_of(path: Path, above: set[tuple[int, int]]) -> tuple[str, str] | None:
    if path.name.startswith("."):
        return "hidden", f"its name begins with a dot{', and so all in the folder' * path.is_dir()}"
    try:
        if path.is_dir() and identity(path) in above:
            return "not_a_file", "a link to a folder in which it is: a loop"
        if not path.is_dir() and not path.is_file():
            return "not_a_file", "a link to nowhere" if path.is_symlink() else "a pipe, a socket or a device"
    except OSError as error:
        return "not_a_file", str(error.strerror)
    return None


def identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def is_video(path: Path) -> bool:
    return path.suffix.lower() in decode.VIDEO_ENDINGS


def transcripts(files: list[Path]) -> dict[Path, Path]:
    """Video -> its transcript, where there is one; .txt before .TXT."""
    named = {file.with_suffix(""): file for file in sorted(files, reverse=True) if file.suffix.lower() == ".txt"}
    found = {}
    for file in filter(is_video, files):
        if words := named.get(file.with_suffix("")) or named.get(file):
            found[file] = words
    return found


def read_words(file: Path | None) -> str:
    """A transcript: LRS2's `Text:` line or the whole file, upper case, one line; "" without a file."""
    if file is None:
        return ""
    text = texts.decoded(file.read_bytes(), errors="replace")
    lines = [line.split(":", 1)[1] for line in text.splitlines() if line.startswith("Text:")] or text.splitlines()
    return " ".join(" ".join(lines).split()).upper()
