"""Flow `batch`: a list of dubbing jobs, one Prefect task each, as many at a time as there are workers."""

from collections.abc import Sequence
from pathlib import Path

from flows import engine
from tasks.core.progress import bar
from tasks.dubbing import batch
from tasks.dubbing.batch import BatchJob


@engine.stage_flow("batch")
def run(path: Path) -> int:
    """Make every video of the list that is not there yet; returns how many could not be made.

    A job that is refused never stops the others; a job that was killed goes on where it was.
    """
    listed = batch.read(path)
    beside = path.with_suffix(".jobs.json")
    done = work(listed, beside)
    refused = {number: why for number, why in done.items() if why}
    for number, why in sorted(refused.items()):
        engine.done("batch", f"job {number}: {why}")
    engine.done("batch", f"{len(done) - len(refused)} of {len(listed)} made; what became of each: {beside}")
    return len(refused)


def work(listed: Sequence[BatchJob], beside: Path) -> dict[int, str]:
    """Job number -> "" or why it was refused."""
    done: dict[int, str] = {}
    with bar(len(listed), "batch", "video") as shown:
        for index, why in engine.run_in_pool("dub", batch.run, listed, lambda job: f"job {job.number}"):
            done[listed[index].number] = why
            batch.report(beside, done, list(listed))
            shown.update()
    return done
