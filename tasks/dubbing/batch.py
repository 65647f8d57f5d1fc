"""A list of dubbing jobs: a CSV with a header and one output video a row. Columns are the options of `dub`.

    face,audio,out,speaker
    talk.mp4,hello.wav,out/hello.mp4,
    film.mkv,00:01:02.5=a.wav 00:01:09=b.wav,out/film.mp4,640,200@62

`audio` may contain spans as in --span, separated by spaces; `library` several videos, likewise. The list may be as any
spreadsheet writes it: tasks/dubbing/job_table.py.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tasks.core import names
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.system_errors import as_user_error
from tasks.dubbing import cast, dub, job_table, spans
from tasks.dubbing.options import RENAMED, Options
from tasks.media import containers
from tasks.voices import speech

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

    @property
    def outs(self) -> list[str]:
        """Everything that it writes: the video, the JSON beside it, and the video side by side."""
        beside = f"{os.path.splitext(self.out)[0]}.json"
        return [self.out, beside, *([self.cells["side_by_side"]] if "side_by_side" in self.cells else [])]


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
    outs = Counter(os.path.realpath(out) for job in jobs for out in job.outs)
    if duplicate := next((out for out, times in outs.items() if times > 1), None):
        raise UserError(f"{path}: two jobs write {Path(duplicate).name}")
    return jobs


def demand_no_commands(path: Path, jobs: Sequence[BatchJob]) -> None:
    """Errors: UserError for a job whose column `tts`, here or in its table of speakers, names a command: a list from
    elsewhere would run it.
    """
    for job in jobs:
        if command := next(iter(commands_of(job)), ""):
            raise UserError(
                f"{path}: job {job.number}: its column tts would run {command[:60]!r}; if that is what you want, "
                "add --allow-tts-commands"
            )


def commands_of(job: BatchJob) -> list[str]:
    """The commands that a job would run."""
    own = [job.cells["tts"]] if job.cells.get("tts") else []
    table = job.cells.get("speakers")
    if not table or not os.path.isfile(table):  # the job itself will be refused
        return own
    try:
        return own + [member.tts for member in cast.read(Path(table)).values() if member.tts]
    except UserError:  # of this job alone, which says it again
        return own


def run(job: BatchJob) -> str:
    """Make one video, unless it exists and is up to date.  Returns "" or, in one line, why it could not be made."""
    cells = job.cells
    try:
        words = {name: cell for name, cell in cells.items() if name not in FILES}
        if words.get("text", "-") != "-":
            words["text"] = speech.text_of(words["text"])
        options = Options.from_mapping(words)
        audio = cells.get("audio")
        lines = spans.several(audio) if audio and not os.path.isfile(audio) else []
        dub.run(cells["face"], None if lines else audio, job.out, cells.get("checkpoint"), lines, options)
    except (UserError, containers.MediaError) as error:
        return str(error)
    except OSError as error:  # of this job's files: it stops no other
        if (refused := as_user_error(error)) is None:
            raise
        return str(refused)
    return ""


def report(path: Path, done: dict[int, str], jobs: list[BatchJob]) -> None:
    """The state of each job, as a JSON beside the list."""
    states = [
        {"job": job.number, "out": job.out, "state": "refused" if done[job.number] else "done", "why": done[job.number]}
        for job in jobs
        if job.number in done
    ]
    write_atomic(path, json.dumps(names.valid(states), indent=2) + "\n")
