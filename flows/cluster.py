"""The runner `dask`: work on a cluster whose scheduler and workers were started by hand, in any folder.

A worker needs an environment with the project's requirements and this project's folder under the same path; the code is
found there. What it lacks is one line that says what to set, and so is a cluster that dies or has no workers.

LIPGAN_DASK   tcp://scheduler:8786; default: worker processes on this machine
"""

import hashlib
import importlib
import logging
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.watch import stall_s
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.progress import say

ROOT = Path(__file__).parents[1]
CONNECT_S = 8  # for the scheduler to answer
LOOK_S = 10.0  # between two questions whether a worker is there at all
SHARED_S = 10.0  # for a file that was made here to be seen by a worker, over a network


def code_digest(root: Path) -> str:
    """Hash of the code that a worker runs: of the sources of tasks/ and model/."""
    sources = [file for room in ("model", "tasks") for file in sorted((root / room).rglob("*.py"))]
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in sources)).hexdigest()


IMPORTED = code_digest(ROOT)  # a worker that goes on for days would otherwise run the code of its first day


def travelling() -> Callable[..., tuple[bool, Any]]:
    """What a worker calls. It is defined inside a function so that it travels by value: no worker can import it yet."""

    def run(root: str, settings: dict[str, Any], packed: bytes) -> tuple[bool, Any]:
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
        return cluster.on_worker(settings, packed)

    return run


def on_worker(settings: dict[str, Any], packed: bytes) -> tuple[bool, Any]:
    """Runs in a worker: the work in the project's folder, with its variables.  packed: (work, args, kwargs)"""
    import cv2

    if settings["code"] != IMPORTED:
        return False, "it has imported other code than this folder's; start it again"
    try:
        os.chdir(settings["folder"])
    except OSError as error:
        return False, f"{settings['folder']}: {error.strerror}; share the project's folder under this path"
    deadline = time.monotonic() + SHARED_S
    while not os.path.isdir(settings["probe"]):
        if time.monotonic() > deadline:
            return (
                False,
                f"it does not see {settings['probe']}; share the unit cache (LIPGAN_CACHE) under the same path",
            )
        time.sleep(0.1)
    os.environ.update(settings["variables"])
    cv2.setNumThreads(0)
    work, args, kwargs = pickle.loads(packed)
    return True, work(*args, **kwargs)


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
            "code": code_digest(ROOT),
            "folder": str(Path.cwd()),
            "probe": self._probe.name,
            "variables": {name: value for name, value in os.environ.items() if name.startswith("LIPGAN_")},
        }
        self._stall_s, self._alone_since = stall_s(), 0.0

    def submit(self, work: Callable, /, *args: Any, **kwargs: Any) -> Any:
        packed = pickle.dumps((work, args, kwargs))
        return DaskFuture(self, self.client.submit(self._run, self.root, self._settings, packed, pure=False))

    def demand_workers(self) -> None:
        """Errors: UserError if the scheduler is gone, or has had no worker for LIPGAN_STALL_S"""
        try:
            alone = not self.client.nthreads()
        except (OSError, TimeoutError, ValueError):
            raise self.gone() from None
        if not alone:
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
            try:
                done, value = self.of.result(timeout=LOOK_S)
            except TimeoutError:
                if self.of.done():
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
        return value


def optional(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(f"LIPGAN_RUNNER={extra} needs more packages: pip install -e '.[{extra}]'") from None
