"""Transcripts beside videos: a .txt with the name of the video, talk.txt or talk.mov.txt beside talk.mov."""

from collections.abc import Sequence
from pathlib import Path

from tasks.core import texts
from tasks.media import decode


def is_video(path: Path) -> bool:
    return path.suffix.lower() in decode.VIDEO_ENDINGS


def transcripts(files: Sequence[Path]) -> dict[Path, Path]:
    """Video -> its transcript, where there is one; .txt before .TXT."""
    # of talk.TXT and talk.txt the latter, which sorts last
    named = {file.with_suffix(""): file for file in sorted(files) if file.suffix.lower() == ".txt"}
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
