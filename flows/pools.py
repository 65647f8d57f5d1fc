"""Where the work of a stage runs: in threads, in processes, on a Dask cluster. The bytes are the same with each.

LIPGAN_WORKERS   number of worker processes or threads; default: the cores this process may use
LIPGAN_RUNNER    processes (default), threads or dask (flows/cluster.py)
"""

import multiprocessing
import os
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path

from tasks.core import progress, servers
from tasks.core.errors import UserError

RUNNERS = ("processes", "threads", "dask")
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
    if runner() == "dask" and (address := os.environ.get("LIPGAN_DASK", "")):
        servers.demand("LIPGAN_DASK", address, None, "unset LIPGAN_DASK: the work then runs on this machine")


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
        from flows.cluster import DaskPool

        return DaskPool(workers)
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
