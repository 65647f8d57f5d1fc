"""Flow `batch`: a list of dubbing jobs, a Prefect task each; as many at a time as there are workers."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from flows import engine
from tasks.core import names
from tasks.core.progress import bar
from tasks.dubbing import batch
from tasks.dubbing.batch import BatchJob
from tasks.tracking import registry


def run(path: Path, allow_commands: bool = False) -> int:
    """Make every output of the list that is missing or out of date; returns how many jobs were refused.

    allow_commands  whether the column `tts`, a command that speaks the text, is run

    A refused job does not stop the others; an interrupted job resumes.
    """

    def made(jobs: str) -> int:  # Prefect sends the parameter as JSON, which not every file name can be
        return make(path, allow_commands)

    return engine.stage_flow("batch")(made)(names.valid(str(path)))


def make(path: Path, allow_commands: bool) -> int:
    """`run` inside its flow."""
    jobs = with_files(batch.read(path))
    if not allow_commands:
        batch.demand_no_commands(path, jobs)
    report = path.with_suffix(".jobs.json")
    done = run_jobs(jobs, report)
    refused = {number: why for number, why in done.items() if why}
    for number, why in sorted(refused.items()):
        engine.done("batch", f"job {number}: {why}")
    engine.done("batch", f"{len(done) - len(refused)} of {len(jobs)} made; the state of each job: {report}")
    return len(refused)


def with_files(jobs: Sequence[BatchJob]) -> list[BatchJob]:
    """The jobs with models:/... replaced by the checkpoint's file, each model fetched once.

    Errors: UserError where the registry has no such version: before any job
    """
    file_of = functools.cache(registry.path_of)
    return [
        dataclasses.replace(job, cells=job.cells | {"checkpoint": file_of(job.cells["checkpoint"])})
        if "checkpoint" in job.cells
        else job
        for job in jobs
    ]


def run_jobs(jobs: Sequence[BatchJob], report: Path) -> dict[int, str]:
    """Job number -> "" or why it was refused."""
    done: dict[int, str] = {}
    with bar(len(jobs), "batch", "video") as progress:
        for index, why in engine.run_in_pool("dub", batch.run, jobs, lambda job: f"job {job.number}"):
            done[jobs[index].number] = why
            batch.report(report, done, list(jobs))
            progress.update()
    return done
