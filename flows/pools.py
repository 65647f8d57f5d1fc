"""Where the work of a stage runs: in threads, processes, on a Dask cluster or Ray. The bytes are the same with each.

LIPGAN_WORKERS   number of worker processes or threads; default: the cores this process may use
LIPGAN_RUNNER    processes (default), threads, dask or ray
LIPGAN_DASK      tcp://scheduler:8786, a cluster whose workers see this folder under the same path and have this
                 environment; default: processes on this machine
LIPGAN_RAY       the address of a Ray cluster, likewise ("auto": the cluster of this machine)
"""

import importlib
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tasks.core import progress, servers
from tasks.core.errors import UserError

ROOT = Path(__file__).parents[1]
RUNNERS = ("processes", "threads", "dask", "ray")
CLUSTER_WAIT_S = 8  # for the scheduler to answer
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def num_workers() -> int:
    text = os.environ.get("LIPGAN_WORKERS", "")
    if not text:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"LIPGAN_WORKERS must be a whole number from 1, got {text!r}")
    return int(text)


def runner() -> str:
    name = os.environ.get("LIPGAN_RUNNER", "processes")
    if name not in RUNNERS:
        raise UserError(f"LIPGAN_RUNNER must be one of {', '.join(RUNNERS)}, got {name!r}")
    return name


def demand_cluster() -> None:
    """Errors: UserError if the runner is a cluster whose address does not answer"""
    variable = {"dask": "LIPGAN_DASK", "ray": "LIPGAN_RAY"}.get(runner(), "")
    address = os.environ.get(variable, "") if variable else ""
    if address and address not in ("auto", "local"):
        servers.demand(variable, address, None, f"unset {variable}: the work then runs on this machine")


def pool(kind: str, workers: int, notes: Path | None = None) -> Executor:
    """An executor, for a `with`. Processes are spawned: a fork of a process with Prefect's threads would hang.

    notes: folder where each worker process notes its current item (tasks.core.progress.doing)
    Errors: UserError where the extra of this name is not installed, or the cluster does not answer
    """
    if kind == "threads":
        return ThreadPoolExecutor(workers)
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")  # for the workers; this process has read it already
    if kind == "dask":
        return DaskPool(workers)
    if kind == "ray":
        return RayPool(workers)
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker, initargs=(notes,))


def start_worker(notes: Path | None) -> None:
    """One core for each worker; it ends with its parent, even after `kill -9` of the stage."""
    import cv2

    cv2.setNumThreads(0)
    progress.note_in(notes)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


class DaskPool(Executor):
    """An executor, as far as the stages need it."""

    def __init__(self, workers: int) -> None:
        distributed = optional("distributed", "dask")
        self._scratch = tempfile.TemporaryDirectory(prefix="lipgan-dask-")
        self._cluster = None
        address = os.environ.get("LIPGAN_DASK")
        if not address:
            self._cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, local_directory=self._scratch.name
            )
        try:
            self._client = distributed.Client(address or self._cluster, timeout=CLUSTER_WAIT_S, set_as_default=False)
        except OSError as error:
            raise UserError(f"LIPGAN_DASK={address}: no scheduler answers ({' '.join(str(error).split())})") from None
        self._lost = distributed.scheduler.KilledWorker

    def submit(self, work: Callable, /, *args: Any, **kwargs: Any) -> Any:
        return DaskFuture(self._client.submit(in_folder, *there(), work, *args, **kwargs, pure=False), self._lost)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
        self._scratch.cleanup()


class RayPool(Executor):
    """An executor, as far as the stages need it."""

    def __init__(self, workers: int) -> None:
        self._ray = optional("ray", "ray")
        address = os.environ.get("LIPGAN_RAY")
        size = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
        before = os.environ.get("PYTHONPATH")  # Ray's processes inherit it
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])
        try:
            self._ray.init(**size, log_to_driver=False, logging_level="ERROR")
        except ConnectionError as error:
            line = " ".join(str(error).split())[:200]
            raise UserError(
                f"LIPGAN_RAY={address}: no cluster answers ({line}); start it, or unset LIPGAN_RAY"
            ) from None
        finally:
            os.environ.pop("PYTHONPATH")
            os.environ.update({"PYTHONPATH": before} if before else {})

    def submit(self, work: Callable, /, *args: Any, **kwargs: Any) -> Any:
        task = self._ray.remote(in_folder).options(num_cpus=1, max_retries=0)
        return RayFuture(self._ray, task.remote(*there(), work, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._ray.shutdown()


@dataclass(frozen=True, slots=True)
class DaskFuture:
    of: Any
    lost: type[Exception]

    def result(self) -> Any:
        """Errors: that of the work itself; BrokenExecutor where the worker died"""
        try:
            return self.of.result()
        except self.lost as error:
            raise BrokenExecutor from error


@dataclass(frozen=True, slots=True)
class RayFuture:
    ray: Any
    of: Any

    def result(self) -> Any:
        """Errors: that of the work itself, without Ray's wrapper; BrokenExecutor where the worker died"""
        try:
            return self.ray.get(self.of)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.WorkerCrashedError as error:
            raise BrokenExecutor from error


def optional(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"LIPGAN_RUNNER={extra} needs more packages: pip install -e '.[{extra}]'") from None


def there() -> tuple[str, dict[str, str]]:
    """This process's folder and LIPGAN_ variables, for a worker of a cluster, which may have started with others."""
    return str(Path.cwd()), {name: value for name, value in os.environ.items() if name.startswith("LIPGAN_")}


def in_folder(folder: str, settings: dict[str, str], work: Callable, *args: Any, **kwargs: Any) -> Any:
    import cv2

    os.chdir(folder)
    os.environ.update(settings)
    cv2.setNumThreads(0)
    return work(*args, **kwargs)
