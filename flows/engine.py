"""How a flow runs its work: one Prefect task for each missing unit, whose thread feeds a pool of workers.

Prefect keeps no result and no cache: DVC deletes outs before a run, and a task that Prefect calls Cached would leave a
hole. Work to be done comes from the unit cache alone.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import Any, TypeVar

from prefect import Task, flow, get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.pools import num_workers, pool, runner
from flows.watch import Watch
from tasks.core.progress import bar, say
from tasks.storage import unit_cache
from tasks.storage.unit_cache import Build, Unit

Item = TypeVar("Item")
Result = TypeVar("Result")


def stage_flow(name: str):  # noqa: ANN201 - a decorator of Prefect's
    """`@flow` with this project's settings: nothing persisted, as many tasks at a time as there are workers."""
    return flow(name=name, persist_result=False, task_runner=ThreadPoolTaskRunner(max_workers=num_workers()))


def uncached_task(name: str, work: Callable[..., Any], run_name: str | None = None) -> Task:
    """`work` as a Prefect task that is never taken from a cache."""
    return task(name=name, task_run_name=run_name, cache_policy=NO_CACHE, persist_result=False)(work)


def run_alone(name: str, work: Callable[[], Any]) -> Any:
    """One task that runs here and now; its error ends the flow."""
    return uncached_task(name, work)()


def run_units(
    what: str,
    planned: Sequence[Unit],
    build: Build,
    of: str = "clip",
    after: Callable[[Unit], None] | None = None,
) -> str:
    """Build the units that are missing; return "ran 1, kept 15". Call it inside a flow.

    A unit's error stops the stage when the others under way are done; what is done stays done.
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
    with bar(sum(unit.size for unit in missing), what, of) as shown:
        make = partial(unit_cache.make, build)
        for number, _ in run_in_pool(what, make, missing, lambda unit: unit.name):
            if after:
                after(missing[number])
            shown.update(missing[number].size)
    left = [unit.name for unit in planned if not unit.done]
    assert not left, f"planned but not built: {left}"
    return summary


def run_in_pool(
    name: str, work: Callable[[Item], Result], items: Sequence[Item], label: Callable[[Item], str]
) -> Iterator[tuple[int, Result]]:
    """One task an item, as many at a time as there are workers; (number of the item, result) as they complete.

    name: of the tasks in Prefect.  label: what an error calls the item whose worker died.
    """
    workers = min(num_workers(), len(items))
    with Watch() as watch, pool(runner(), workers, watch.notes) as executor:

        def one(number: int) -> tuple[int, Result]:
            """Runs in a thread of Prefect's; the number is all that Prefect sees."""
            try:
                return number, executor.submit(work, items[number]).result()
            except BrokenExecutor as error:
                raise watch.error(label(items[number])) from error

        each = uncached_task(name, one, f"{name}-{{number}}")
        for future in as_completed([each.submit(number) for number in range(len(items))]):
            yield future.result()


def run_each(what: str, names: Sequence[str], work: Callable[[str], None]) -> None:
    """One task a name, all at a time, in Prefect's threads: for work that waits for others, as a download does."""

    def one(name: str) -> str:
        work(name)
        return name

    each = uncached_task(what, one, f"{what}-{{name}}")
    futures = [each.submit(name) for name in names]
    for future in futures:
        future.wait()
    for future in futures:
        future.result()


def server_url() -> str:
    """The Prefect API of this flow, for a child process: PREFECT_API_URL, or the server that the flow started."""
    with get_client(sync_client=True) as client:
        return os.environ.get("PREFECT_API_URL") or str(client.api_url).rstrip("/")


def done(stage: str, line: str) -> None:
    say(f"{stage}: {line}")
