"""How the units of a stage are run: one Prefect task for each missing unit, one worker process for each core.

LIPGAN_WORKERS   worker processes or threads; default: the cores this process may use
LIPGAN_RUNNER    processes (default): Prefect's threads feed one pool of processes; threads: they do the work themselves
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from tasks import units
from tasks.progress import bar, say
from tasks.stage import UserError
from tasks.units import Build, Unit

RUNNERS = ("processes", "threads")


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
    units.exchange(planned)
    units.used(planned)
    missing = [unit for unit in planned if not unit.done]
    summary = f"ran {len(missing)}, kept {len(planned) - len(missing)}"
    for unit in planned if after else ():
        if after and unit.done:
            after(unit)
    if not missing:
        return summary
    workers = min(num_workers(), len(missing))
    with pool(runner(), workers) as executor, bar(sum(unit.size for unit in missing), what, of) as shown:

        def work(number: int) -> int:
            """Runs in a thread of Prefect's; the number is all that Prefect sees."""
            try:
                executor.submit(units.make, build, missing[number]).result()
            except BrokenProcessPool as error:
                raise RuntimeError(f"a worker process died at {missing[number].name}; is memory short?") from error
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


def num_workers() -> int:
    given = os.environ.get("LIPGAN_WORKERS", "")
    if not given:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.isdigit() or int(given) < 1:
        raise UserError(f"LIPGAN_WORKERS must be a whole number from 1, got {given!r}")
    return int(given)


def runner() -> str:
    given = os.environ.get("LIPGAN_RUNNER", "processes")
    if given not in RUNNERS:
        raise UserError(f"LIPGAN_RUNNER must be one of {', '.join(RUNNERS)}, got {given!r}")
    return given


def pool(kind: str, workers: int) -> Executor:
    """A pool whose processes are started afresh: a fork of Prefect's threads would hang."""
    if kind == "threads":
        return ThreadPoolExecutor(workers)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # read by the workers at their start; this process has read it already
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=start_worker)


def start_worker() -> None:
    """One core a worker, and no worker without its parent: after `kill -9` of the stage none lives on."""
    import cv2

    cv2.setNumThreads(0)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def done(stage: str, line: str) -> None:
    say(f"{stage}: {line}")
