"""How the units of a stage are run: one Prefect task for each missing unit, whose thread feeds a pool of workers."""

from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.pools import num_workers, pool, runner
from flows.watch import Watch
from tasks.core.progress import bar, say
from tasks.storage import unit_cache
from tasks.storage.unit_cache import Build, Unit


def run_units(
    what: str,
    planned: Sequence[Unit],
    build: Build,
    of: str = "clip",
    after: Callable[[Unit], None] | None = None,
) -> str:
    """Build the units that are missing; return "ran 1, kept 15". To be called inside a flow.

    Prefect keeps no result and no cache: DVC deletes outs before a run, and a task that Prefect calls Cached would
    leave a hole. A unit's error stops the stage when the others under way are done; what is done stays done.
    `after` is called, here and one at a time, for every unit that is done, also for those done before.
    """
    unit_cache.exchange(planned)
    unit_cache.used(planned)
    missing = [unit for unit in planned if not unit.done]
    summary = f"ran {len(missing)}, kept {len(planned) - len(missing)}"
    for unit in planned if after else ():
        if after and unit.done:
            after(unit)
    if not missing:
        return summary
    workers = min(num_workers(), len(missing))
    with (
        Watch() as watch,
        pool(runner(), workers, watch.notes) as executor,
        bar(sum(unit.size for unit in missing), what, of) as shown,
    ):

        def work(number: int) -> int:
            """Runs in a thread of Prefect's; the number is all that Prefect sees."""
            try:
                executor.submit(unit_cache.make, build, missing[number]).result()
            except BrokenExecutor as error:
                raise watch.error(missing[number].name) from error
            return number

        one_unit = task(name=what, task_run_name=f"{what}-{{number}}", cache_policy=NO_CACHE, persist_result=False)(
            work
        )
        futures = [one_unit.submit(number) for number in range(len(missing))]
        for future in as_completed(futures):
            unit = missing[future.result()]
            if after:
                after(unit)
            shown.update(unit.size)
    left = [unit.name for unit in planned if not unit.done]
    assert not left, f"planned but not built: {left}"
    return summary


def run_each(what: str, names: Sequence[str], work: Callable[[str], None]) -> None:
    """One task a name, all at a time, in Prefect's threads: for work that waits for others, as a download does."""

    def one(name: str) -> str:
        work(name)
        return name

    each = task(name=what, task_run_name=f"{what}-{{name}}", cache_policy=NO_CACHE, persist_result=False)(one)
    futures = [each.submit(name) for name in names]
    for future in futures:
        future.wait()
    for future in futures:
        future.result()


def stage_flow(name: str):  # noqa: ANN201 - a decorator of Prefect's
    """`@flow` with this project's settings: nothing persisted, as many tasks at a time as there are workers."""
    return flow(name=name, persist_result=False, task_runner=ThreadPoolTaskRunner(max_workers=num_workers()))


def done(stage: str, line: str) -> None:
    say(f"{stage}: {line}")
