"""Flow `batch`: a list of dubbing jobs, one Prefect task each, as many at a time as there are workers."""

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import engine
from flows.watch import Watch
from tasks.core.progress import bar
from tasks.dubbing import batch
from tasks.dubbing.batch import Job


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


def work(listed: Sequence[Job], beside: Path) -> dict[int, str]:
    """Job number -> "" or why it was refused."""
    done: dict[int, str] = {}
    workers = min(engine.num_workers(), len(listed))
    with (
        Watch() as watch,
        engine.pool(engine.runner(), workers, watch.notes) as executor,
        bar(len(listed), "batch", "video") as shown,
    ):

        def one(number: int) -> str:
            """Runs in a thread of Prefect's; the number is all that Prefect sees."""
            try:
                return executor.submit(batch.run, listed[number]).result()
            except BrokenExecutor as error:
                raise watch.error(f"job {number + 1}") from error

        each = task(name="dub", task_run_name="dub-{number}", cache_policy=NO_CACHE, persist_result=False)(one)
        futures = [each.submit(number) for number in range(len(listed))]
        for job, future in zip(listed, futures, strict=True):
            done[job.number] = future.result()
            batch.report(beside, done, list(listed))
            shown.update()
    return done
