"""The words of a video with their times, where they are known: an alignment of GRID's, a transcript as LRS2's, or an
English text beside the video, which is aligned if the extra `words` is installed.
"""

import json
from pathlib import Path

from tasks.acquire import grid
from tasks.acquire import words as beside
from tasks.core import texts
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.progress import say
from tasks.media import decode
from tasks.words import align

TABLE = "WORD START END"  # the line before the words of LRS2's transcripts
MOST_ALIGNED_S = 300.0  # a longer text is not aligned in one piece

Timed = tuple[str, float, float]  # word, start and end in s


def words(video: Path) -> list[Timed]:
    """Empty where nothing is known; why a transcript was not used is said in one line."""
    try:
        if (alignment := _alignment(video)) and (timed := grid.words_of(video.stem, alignment.read_bytes()).times):
            return [(word.lower(), start_s, end_s) for word, start_s, end_s in timed]
        text = beside.transcripts([video, *sorted(video.parent.glob("*.[tT][xX][tT]"))]).get(video)
        return _of_text(video, text) if text else []
    except (UserError, ValueError, OSError) as error:
        say(f"person: {video.name}: its words are not used: {error}")
        return []


def write(file: Path, timed: list[Timed]) -> None:
    if timed:
        write_atomic(file, json.dumps(timed) + "\n")


def _alignment(video: Path) -> Path | None:
    """GRID's: beside the video, or in align/ as video/ is laid out."""
    name, folder = f"{video.stem}.align", video.absolute().parent
    places = (folder / name, folder.parent / "align" / name, folder.parent.parent / "align" / folder.name / name)
    return next((place for place in places if place.is_file()), None)


def _of_text(video: Path, text: Path) -> list[Timed]:
    lines = texts.decoded(text.read_bytes(), errors="replace").splitlines()
    table = next((k for k, line in enumerate(lines) if line.startswith(TABLE)), None)
    if table is not None:
        rows = [line.split() for line in lines[table + 1 :] if line.strip()]
        return [(row[0].lower(), float(row[1]), float(row[2])) for row in rows if len(row) >= 3]
    sound = decode.decode_sound(video)
    if len(sound) > MOST_ALIGNED_S * align.SAMPLE_RATE_HZ:
        raise UserError(f"{text.name} is of more than {MOST_ALIGNED_S:g} s; give pieces, each with its text")
    timed = align.Aligner()(sound, beside.read_words(text))
    return [(word.word, word.start_s, word.end_s) for word in timed if word.confidence >= align.LOW]
