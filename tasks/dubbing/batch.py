"""A list of dubbing jobs: a CSV with a header and one output video a row. Columns are the options of `dub`.

    face,audio,out,speaker
    talk.mp4,hello.wav,out/hello.mp4,
    film.mkv,00:01:02.5=a.wav 00:01:09=b.wav,out/film.mp4,640,200@62

`audio` may contain spans as in --span, separated by spaces; `library` several videos, likewise. The list may be as any
spreadsheet writes it: tasks/dubbing/job_table.py.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tasks.core import names
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.dubbing import dub, job_table, spans, tts
from tasks.dubbing.options import RENAMED, Options
from tasks.media import containers

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
    table = job_table.read(path, COLUMNS)
    if not table:
        raise UserError(f"{path}: contains no job; the first line names the columns: face,audio,out")
    jobs = []
    for number, cells in table:
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


def run(job: BatchJob) -> str:
    """Make one video, unless it exists and is up to date.  Returns "" or, in one line, why it could not be made."""
    cells = job.cells
    try:
        words = {name: cell for name, cell in cells.items() if name not in FILES}
        if words.get("text", "-") != "-":
            words["text"] = tts.text_of(words["text"])
        options = Options.from_mapping(words)
        audio = cells.get("audio")
        lines = spans.several(audio) if audio and not Path(audio).is_file() else []
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
    write_atomic(path, json.dumps(names.valid(states), indent=2) + "\n")
