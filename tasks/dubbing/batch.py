"""A list of dubbing jobs: a CSV with a header and one output video a row. Columns are the options of `dub`.

    face,audio,out,speaker
    talk.mp4,hello.wav,out/hello.mp4,
    film.mkv,00:01:02.5=a.wav 00:01:09=b.wav,out/film.mp4,640,200@62

`audio` may contain spans as in --span, separated by spaces; `library` several videos, likewise.
"""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.dubbing import dub
from tasks.dubbing.options import RENAMED, Options
from tasks.media import containers

SPAN = re.compile(r"(?:(?:\d+:)?\d+:)?\d+(?:\.\d+)?=\S+")
FILES = ("face", "audio", "out", "checkpoint")
COLUMNS = (*FILES, *(field.name for field in fields(Options)), *RENAMED)


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A row: its `number`, from 1, and its non-empty cells."""

    number: int
    cells: dict[str, str]

    @property
    def out(self) -> str:
        return self.cells["out"]


def read(path: Path) -> list[BatchJob]:
    """Errors: UserError for a file that is not a list of jobs, and for two jobs that write the same file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV in UTF-8: {error}") from error
    if not rows:
        raise UserError(f"{path}: contains no job; the first line names the columns: face,audio,out")
    jobs = []
    for number, row in enumerate(rows, 1):
        if unknown := [str(name) for name in row if name not in COLUMNS]:
            raise UserError(f"{path}: {unknown[0]!r} is not a column; known: {', '.join(COLUMNS)}")
        cells = {name: cell.strip() for name, cell in row.items() if cell and cell.strip()}
        if missing := [name for name in ("face", "out") if name not in cells]:
            raise UserError(f"{path}: job {number} has no {missing[0]}")
        jobs.append(BatchJob(number, cells))
    outs = [Path(job.out).resolve() for job in jobs]
    if duplicate := next((out for out in outs if outs.count(out) > 1), None):
        raise UserError(f"{path}: two jobs write {duplicate.name}")
    return jobs


def demand_no_commands(path: Path, jobs: Sequence[BatchJob]) -> None:
    """Errors: UserError for a job whose column `tts` names a command: a list from elsewhere would run it."""
    if job := next((job for job in jobs if job.cells.get("tts")), None):
        raise UserError(
            f"{path}: job {job.number}: its column tts would run {job.cells['tts'][:60]!r}; if that is what you want, "
            "add --allow-tts-commands"
        )


def spans(audio: str) -> list[tuple[float, str]]:
    """ "62.5=a.wav 1:09=b.wav" -> [(62.5, "a.wav"), (69.0, "b.wav")]; a plain path -> []"""
    words = audio.split()
    if not words or not all(SPAN.fullmatch(word) for word in words):
        return []
    return [span(word) for word in words]


def span(text: str) -> tuple[float, str]:
    """ "00:01:02.5=line.wav" -> (62.5, "line.wav").  Errors: UserError"""
    if not SPAN.fullmatch(text):
        raise UserError(f"--span {text}: wanted [HH:MM:]SS=SOUND, as 00:01:02.5=line.wav")
    when, _, path = text.partition("=")
    seconds = 0.0
    for part in when.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds, path


def run(job: BatchJob) -> str:
    """Make one video, unless it exists and is up to date.  Returns "" or, in one line, why it could not be made."""
    cells = job.cells
    try:
        options = Options.from_mapping({name: cell for name, cell in cells.items() if name not in FILES})
        audio = cells.get("audio")
        lines = spans(audio or "")
        dub.run(cells["face"], None if lines else audio, job.out, cells.get("checkpoint"), lines, options)
    except (UserError, containers.MediaError) as error:
        return str(error)
    return ""


def report(path: Path, done: dict[int, str], jobs: list[BatchJob]) -> None:
    """The state of each job, as a JSON beside the list."""
    states = [
        {"job": job.number, "out": job.out, "state": "refused" if done[job.number] else "done", "why": done[job.number]}
        for job in jobs
        if job.number in done
    ]
    write_atomic(path, json.dumps(states, indent=2) + "\n")
