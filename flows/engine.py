"""How a flow runs its work: one Prefect task for each missing unit; the task's thread submits it to a pool of workers.

Prefect caches nothing: DVC deletes outs before a run, so a task that Prefect takes from a cache would leave its out
missing. The unit cache alone decides what is to be done.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from functools import partial
from typing import Any, TypeVar

from prefect import Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.futures import as_completed
from prefect.states import Failed, State
from prefect.task_engine import TaskRunTimeoutError
from prefect.task_runners import ThreadPoolTaskRunner

from flows import offline, pages
from flows.pools import num_workers, pool, runner
from flows.watch import WorkerWatch
from model.params import Params
from tasks.core import names
from tasks.core.errors import Outage, UserError
from tasks.core.progress import bar, say
from tasks.core.system_errors import as_user_error
from tasks.storage import unit_cache
from tasks.storage.unit_cache import Build, Unit

Item = TypeVar("Item")
Result = TypeVar("Result")
RETRY_AFTER_S = [10.0, 60.0]  # of a task that an outage ended


def stage_flow(name: str, size: Callable[[Params], str] = lambda p: "") -> Callable[..., Callable[[Params], Any]]:
    """The function of a stage as its flow. Prefect's pages show the parameters that were changed, not all of them.

    size  words for the run's name: "60000 steps" for "train lrs2 60000 steps"
    """

    def decorated(work: Callable[[Params], Any]) -> Callable[[Params], Any]:
        @functools.wraps(work)
        def run(p: Params) -> Any:
            title = f"{name} {p.corpus.name} {size(p)}".rstrip()
            return run_flow(name, lambda: work(p), title, pages.changed(p), pages.tags(p))

        return run

    return decorated


def run_flow(
    name: str, work: Callable[[], Any], title: str, parameters: Mapping[str, Any], tags: Sequence[str] = ()
) -> Any:
    """`work` as a flow with the settings of this project: no persisted results, one task at a time for each worker.

    title, tags  of this run, on Prefect's pages
    """

    @failing_in_a_line
    def body(parameters: dict[str, Any]) -> Any:
        with pages.logged():
            pages.entitle(title, tags)
            return work()

    runner = ThreadPoolTaskRunner(max_workers=num_workers())
    made = flow(name=name, persist_result=False, validate_parameters=False, task_runner=runner)(body)
    with offline.server_or_memory():
        return made(dict(parameters))


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


def an_outage(task: Task, run: TaskRun, state: State) -> bool:
    """Whether a failed task is tried again: not after what only the user can fix, nor after a bug."""
    return isinstance(state.data, Outage)


def uncached_task(
    name: str, work: Callable[..., Any], run_name: str | None = None, timeout_s: float | None = None
) -> Task:
    """`work` as a Prefect task that is never taken from a cache, and tried again after an outage.

    timeout_s  it is interrupted after that; only for a task that runs in the main thread
    """
    settings = task(
        name=name,
        task_run_name=run_name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=len(RETRY_AFTER_S),
        retry_delay_seconds=RETRY_AFTER_S,
        retry_condition_fn=an_outage,
        timeout_seconds=timeout_s,
    )
    return settings(failing_in_a_line(work))


def run_alone(name: str, work: Callable[[], Any], timeout_s: float | None = None) -> Any:
    """Run `work` as the only task; its error ends the flow."""
    # with its state: otherwise a failed state would be the value
    state: State = uncached_task(name, work, name, timeout_s)(return_state=True)
    try:
        return state.result()
    except TaskRunTimeoutError:
        raise UserError(
            f"{name} did not end within {timeout_s:g} s and was asked to stop; finished work is kept, run again"
        ) from None


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
        for number, _ in run_in_pool(what, make, missing, lambda unit: unit.name, unit_cache.fetch_made):
            if after:
                after(missing[number])
            progress.update(missing[number].size)
    left = [unit.name for unit in planned if not unit.done]
    assert not left, f"planned but not built: {left}"
    return summary


def run_in_pool(
    name: str,
    work: Callable[[Item], Result],
    items: Sequence[Item],
    label: Callable[[Item], str],
    then: Callable[[Item], None] = lambda item: None,
) -> Iterator[tuple[int, Result]]:
    """A task for each item, as many at a time as there are workers; yields (number of the item, result) on completion.

    label: the item's name, in Prefect after `name`, and in the error where its worker died
    then: called here for an item whose work is done
    """
    workers = min(num_workers(), len(items))
    with WorkerWatch() as watch, pool(runner(), workers, watch.notes) as executor:

        def one(number: int, item: str) -> tuple[int, Result]:
            """Runs in a thread of Prefect, which gets only the number and the name."""
            try:
                result = executor.submit(work, items[number]).result()
            except BrokenExecutor as error:
                raise watch.error(item) from error
            then(items[number])
            return number, result

        each = uncached_task(name, one, f"{name} {{item}}")
        # Prefect sends names as JSON, which not every file name can be
        futures = [each.submit(number, names.valid(label(item))) for number, item in enumerate(items)]
        for future in as_completed(futures):
            yield future.result()


def run_each(what: str, names: Sequence[str], work: Callable[[str], None]) -> None:
    """A task for each name, all at once in Prefect's threads: for work that mostly waits, such as downloads."""

    def one(name: str) -> str:
        work(name)
        return name

    each = uncached_task(what, one, f"{what} {{name}}")
    futures = [each.submit(name) for name in names]
    for future in futures:
        future.wait()
    for future in futures:
        future.result()


def done(stage: str, line: str) -> None:
    say(f"{stage}: {line}")
