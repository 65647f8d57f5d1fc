"""The runner `dask`: work on a cluster whose scheduler and workers were started by hand, in any folder.

A worker needs an environment with the project's requirements and this project's folder under the same path; the code is
found there. A worker that sees no such folder, but has the same code installed, builds units that need none
(`Unit.travels`) in a folder of its own and leaves them in object storage. What a worker lacks is one line that says
what to set, and so is a worker, or a cluster, that goes away.

LIPGAN_DASK   tcp://scheduler:8786; default: worker processes on this machine
"""

import importlib
import logging
import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.core.stopping import stall_s
from tasks.core.version import code_digest
from tasks.storage.unit_cache import Unit

ROOT = Path(__file__).parents[1]
CONNECT_S = 8  # for the scheduler to answer
LOOK_S = 10.0  # between two questions which workers are there
ANSWER_S = 30.0  # for the scheduler's answer to that
SHARED_S = 10.0  # for a file that was made here to be seen by a worker, over a network
PLACES = ("LIPGAN_CACHE", "LIPGAN_MODELS", "LIPGAN_CONFIG")  # paths of one machine
IMPORTED = code_digest()  # a worker that goes on for days would otherwise run the code of its first day
ALONE = threading.Lock()  # the working directory is the whole process's


def travelling() -> Callable[..., tuple[bool, Any]]:
    """What a worker calls. It is defined inside a function so that it travels by value: no worker can import it yet."""

    def run(root: str, settings: dict[str, Any], packed: bytes, travels: bool) -> tuple[bool, Any]:
        """(True, result of the work), or (False, why this worker cannot do it)."""
        import os
        import sys

        if "tasks" not in sys.modules and os.path.isfile(os.path.join(root, "tasks", "__init__.py")):
            sys.path.insert(0, root)
        try:
            from flows import cluster
        except ImportError as error:
            return False, (
                f"it cannot import the project ({error}); start it in an environment with the project's requirements, "
                f"and with {root} shared, or PYTHONPATH set to the project's folder there"
            )
        return cluster.on_worker(settings, packed, travels)

    return run


def on_worker(settings: dict[str, Any], packed: bytes, travels: bool) -> tuple[bool, Any]:
    """Runs in a worker: the work in the project's folder, with its variables.

    packed: (work, args, kwargs).  travels: the work needs no shared folder
    """
    import cv2

    if settings["code"] != IMPORTED:
        return False, "it has imported other code than this folder's; start it again, or install the same there"
    cv2.setNumThreads(0)
    if travels and not os.path.isdir(settings["probe"]):
        os.environ.update({name: value for name, value in settings["variables"].items() if name not in PLACES})
        with own_folder():
            return True, call(packed)
    try:
        os.chdir(settings["folder"])
    except OSError as error:
        return False, f"{settings['folder']}: {error.strerror}; share the project's folder under this path"
    deadline = time.monotonic() + SHARED_S
    while not os.path.isdir(settings["probe"]):
        if time.monotonic() > deadline:
            return (
                False,
                f"it does not see {settings['probe']}; share the unit cache (LIPGAN_CACHE) under the same path, or use "
                "object storage: docs/several-machines.md",
            )
        time.sleep(0.1)
    os.environ.update(settings["variables"])
    return True, call(packed)


def call(packed: bytes) -> Any:
    work, args, kwargs = pickle.loads(packed)
    return work(*args, **kwargs)


@contextmanager
def own_folder() -> Iterator[None]:
    """An empty project folder and unit cache, for one piece of work at a time."""
    with ALONE, tempfile.TemporaryDirectory(prefix="lipgan-unit-") as folder:
        before = os.getcwd()
        os.chdir(folder)
        os.environ["LIPGAN_CACHE"] = str(Path(folder) / ".cache")
        try:
            yield
        finally:
            os.chdir(before)


class DaskPool(Executor):
    """An executor, as far as the stages need it."""

    def __init__(self, workers: int) -> None:
        distributed = optional("distributed", "dask")
        logging.getLogger("distributed.client").setLevel(
            logging.CRITICAL
        )  # its tracebacks: what it lacks is a line here
        self._scratch = tempfile.TemporaryDirectory(prefix="lipgan-dask-")
        self._cluster, self.address = None, os.environ.get("LIPGAN_DASK", "")
        if not self.address:
            self._cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, local_directory=self._scratch.name
            )
        try:
            self.client = distributed.Client(self.address or self._cluster, timeout=CONNECT_S, set_as_default=False)
        except OSError as error:
            line = " ".join(str(error).split())
            raise UserError(f"LIPGAN_DASK={self.address}: no scheduler answers ({line})") from None
        self.lost = distributed.scheduler.KilledWorker
        paths.cache().mkdir(parents=True, exist_ok=True)
        self._probe = tempfile.TemporaryDirectory(prefix=".dask.", dir=paths.cache().absolute())
        self._run, self.root = travelling(), str(ROOT)
        self._settings = {
            "code": code_digest(),
            "folder": str(Path.cwd()),
            "probe": self._probe.name,
            "variables": {name: value for name, value in os.environ.items() if name.startswith("LIPGAN_")},
        }
        self._stall_s, self._alone_since = stall_s(), 0.0
        self._workers: set[str] = set()
        self._looking = threading.Lock()
        self._look()

    def submit(self, work: Callable, /, *args: Any, **kwargs: Any) -> Any:
        packed = pickle.dumps((work, args, kwargs))
        travels = any(isinstance(arg, Unit) and arg.travels for arg in args)
        future = self.client.submit(self._run, self.root, self._settings, packed, travels, pure=False)
        return DaskFuture(self, future)

    def _look(self) -> None:
        """Which workers are there; those that went away are said.  Errors: UserError if the scheduler is gone"""
        try:
            workers = set(self.client.sync(self.client.scheduler.ncores, workers=None, callback_timeout=ANSWER_S))
            new = workers - self._workers
            versions = self.client.get_versions()["workers"] if new else {}
        except (OSError, TimeoutError, ValueError, AttributeError):  # None, once the client has given up
            raise self.gone() from None
        if self.address:
            for worker in sorted(self._workers - workers):
                say(f"dask: worker {worker} went away; what it was at is done again, workers left: {len(workers)}")
        self._workers = workers
        own = "{}.{}.".format(*sys.version_info)
        for worker in sorted(new):
            python = versions.get(worker, {}).get("packages", {}).get("python", own)
            if not python.startswith(own):
                raise UserError(f"LIPGAN_DASK={self.address}: worker {worker} has Python {python}; it needs {own}x")

    def demand_workers(self) -> None:
        """Errors: UserError if the scheduler is gone, or has had no worker for LIPGAN_STALL_S"""
        with self._looking:
            self._look()
        if self._workers:
            self._alone_since = 0.0
        elif not self._alone_since:
            self._alone_since = time.monotonic()
            if self.address:
                say(f"dask: no worker yet; start one: dask worker {self.address}")
        elif 0 < self._stall_s < time.monotonic() - self._alone_since:
            raise UserError(
                f"LIPGAN_DASK={self.address}: no worker for {self._stall_s:g} s (LIPGAN_STALL_S); start one: "
                f"dask worker {self.address}. Finished work is kept, the same command resumes"
            )

    def gone(self) -> UserError:
        return UserError(
            f"LIPGAN_DASK={self.address}: the scheduler went away; start it again. Finished work is kept, the same "
            "command resumes"
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.client.close()
        if self._cluster is not None:
            self._cluster.close()
        self._scratch.cleanup()
        self._probe.cleanup()


@dataclass(frozen=True, slots=True)
class DaskFuture:
    pool: DaskPool
    of: Any

    def result(self) -> Any:
        """Errors: that of the work itself; BrokenExecutor where the worker died; UserError where none can do it"""
        while True:
            failed = self.of.status == "error"  # a finished one may lie on a machine that has vanished
            try:
                done, value = self.of.result(timeout=LOOK_S)
            except TimeoutError:
                if failed:
                    raise  # the work's own
                self.pool.demand_workers()
            except CancelledError:
                raise self.pool.gone() from None
            except self.pool.lost as error:
                raise BrokenExecutor from error
            else:
                break
        if not done:
            raise UserError(f"LIPGAN_DASK={self.pool.address}: a worker cannot work: {value}")
        self.pool.demand_workers()  # the last result, too, says which workers went away meanwhile
        return value


def optional(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"LIPGAN_RUNNER={extra} needs more packages: pip install -e '.[{extra}]'") from None
