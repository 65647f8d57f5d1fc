"""How a flow runs its work: one Prefect task for each missing unit; the task's thread submits it to a pool of workers.

Prefect caches nothing: DVC deletes outs before a run, so a task that Prefect takes from a cache would leave its out
missing. The unit cache alone decides what is to be done.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import Any, TypeVar

from prefect import Task, flow, get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.states import Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.pools import num_workers, pool, runner
from flows.watch import WorkerWatch
from tasks.core.errors import UserError
from tasks.core.progress import bar, say
from tasks.core.system_errors import as_user_error
from tasks.storage import unit_cache
from tasks.storage.unit_cache import Build, Unit

Item = TypeVar("Item")
Result = TypeVar("Result")


def stage_flow(name: str):  # noqa: ANN201 - a decorator of Prefect's
    """`@flow` with the settings of this project: no persisted results, one task at a time for each worker."""
    settings = flow(name=name, persist_result=False, task_runner=ThreadPoolTaskRunner(max_workers=num_workers()))
    return lambda work: settings(failing_in_a_line(work))


def failing_in_a_line(work: Callable[..., Any]) -> Callable[..., Any]:
    """`work` for Prefect: what the user can fix is a failed state with its line, logged without a traceback.

    Whoever asks for the result gets the error itself.
    """

    @functools.wraps(work)
    def run(*arguments: Any, **named: Any) -> Any:
        try:
            return work(*arguments, **named)
        except UserError as error:
            return Failed(message=str(error), data=error)
        except OSError as error:
            if (refused := as_user_error(error)) is None:
                raise
            return Failed(message=str(refused), data=refused)

    return run


def uncached_task(name: str, work: Callable[..., Any], run_name: str | None = None) -> Task:
    """`work` as a Prefect task that is never taken from a cache."""
    settings = task(name=name, task_run_name=run_name, cache_policy=NO_CACHE, persist_result=False)
    return settings(failing_in_a_line(work))


def run_alone(name: str, work: Callable[[], Any]) -> Any:
    """Run `work` as the only task; its error ends the flow."""
    state: State = uncached_task(name, work)(return_state=True)  # otherwise a failed state would be the value
    return state.result()


def run_units(
    what: str,
    planned: Sequence[Unit],
    build: Build,
    of: str = "clip",
    after: Callable[[Unit], None] | None = None,
) -> str:
    """Build the missing units; returns "ran 1, kept 15". To be called inside a flow.

    After an error of a unit, those already running finish and are kept, then the stage ends with the error.
    after: called for every finished unit, those of earlier runs too, in this process and one at a time
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
    with bar(sum(unit.size for unit in missing), what, of) as progress:
        make = partial(unit_cache.make, build)
        for number, _ in run_in_pool(what, make, missing, lambda unit: unit.name):
            if after:
                after(missing[number])
            progress.update(missing[number].size)
    left = [unit.name for unit in planned if not unit.done]
    assert not left, f"planned but not built: {left}"
    return summary


def run_in_pool(
    name: str, work: Callable[[Item], Result], items: Sequence[Item], label: Callable[[Item], str]
) -> Iterator[tuple[int, Result]]:
    """A task for each item, as many at a time as there are workers; yields (number of the item, result) on completion.

    name: of the tasks in Prefect.  label: the item's name in the error where its worker died
    """
    workers = min(num_workers(), len(items))
    with WorkerWatch() as watch, pool(runner(), workers, watch.notes) as executor:

        def one(number: int) -> tuple[int, Result]:
            """Runs in a thread of Prefect, which gets only the number."""
            try:
                return number, executor.submit(work, items[number]).result()
            except BrokenExecutor as error:
                raise watch.error(label(items[number])) from error

        each = uncached_task(name, one, f"{name}-{{number}}")
        for future in as_completed([each.submit(number) for number in range(len(items))]):
            yield future.result()


def run_each(what: str, names: Sequence[str], work: Callable[[str], None]) -> None:
    """A task for each name, all at once in Prefect's threads: for work that mostly waits, such as downloads."""

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
    """The Prefect API for child processes: PREFECT_API_URL, or the server that this flow started."""
    with get_client(sync_client=True) as client:
        return os.environ.get("PREFECT_API_URL") or str(client.api_url).rstrip("/")


def done(stage: str, line: str) -> None:
    say(f"{stage}: {line}")
