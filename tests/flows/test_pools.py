"""Runners: a cluster makes the bytes that one process makes; a worker that dies or hangs ends in one line."""

import hashlib
import os
import resource
import signal
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from flows import pools
from flows.watch import WorkerWatch, stall_s
from tasks.core import config, paths, progress
from tasks.core.errors import UserError
from tasks.preprocess import stage as preprocess
from tasks.storage import index, unit_cache


def hashes(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize(("kind", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_a_cluster_writes_the_shards_that_one_process_writes(tiny, monkeypatch, kind, module):
    pytest.importorskip(module)
    before = hashes(paths.SHARDS)
    monkeypatch.setenv("LIPGAN_CACHE", str(tiny / "elsewhere"))
    planned, refused = preprocess.plan(config.load(Path("params.yaml")))
    assert planned and not any(unit.done for unit in planned)
    with pools.pool(kind, 2) as executor:
        for future in [executor.submit(unit_cache.make, preprocess.build, unit) for unit in planned]:
            future.result()
        with pytest.raises(UserError, match="no such table"):
            executor.submit(index.read, Path("nowhere")).result()
    assert all(unit.done for unit in planned)
    preprocess.collect(planned, refused)
    assert hashes(paths.SHARDS) == before


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("kind", "module"), [("dask", "distributed"), ("ray", "ray"), ("processes", "os")])
def test_a_worker_that_dies_breaks_the_pool_by_the_same_error_under_each_runner(kind, module, tmp_path, monkeypatch):
    pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    with pools.pool(kind, 1) as executor, pytest.raises(BrokenExecutor):
        executor.submit(die).result()


def test_a_runner_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr(pools.importlib, "import_module", lambda name: __import__(f"no_{name}"))
    with pytest.raises(UserError, match=r"pip install -e '\.\[ray\]'"):
        pools.pool("ray", 1)


def hit_by(number):
    """Work whose process gets a signal from outside."""
    progress.doing("main/1/00007 of train-000003-of-000010.tar")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core file in the folder of the tests
    os.kill(os.getpid(), number)
    time.sleep(600)


def error_after(number):
    with WorkerWatch() as watch, pools.pool("processes", 1, watch.notes) as executor:
        with pytest.raises(BrokenExecutor):
            executor.submit(hit_by, number).result()
        return str(watch.error("train-000003-of-000010.tar"))


def test_the_error_names_the_item_of_a_worker_that_the_system_killed():
    message = error_after(signal.SIGKILL)
    assert "killed by SIGKILL at main/1/00007 of train-000003-of-000010.tar" in message
    assert "memory" in message and "\n" not in message


def test_the_error_names_the_item_of_a_worker_that_crashed():
    assert "killed by SIGSEGV at main/1/00007" in error_after(signal.SIGSEGV)


def test_a_worker_without_progress_is_killed_and_its_item_named(monkeypatch):
    monkeypatch.setenv("LIPGAN_STALL_S", "1.5")
    message = error_after(signal.SIGSTOP)
    assert "made no progress for 1.5 s" in message and "at main/1/00007" in message


def busy(seconds):
    progress.doing("something")
    while time.process_time() < seconds:
        pass
    return "done"


def test_a_worker_that_computes_or_is_idle_is_not_killed(monkeypatch):
    monkeypatch.setenv("LIPGAN_STALL_S", "1")
    with WorkerWatch() as watch, pools.pool("processes", 1, watch.notes) as executor:
        assert executor.submit(busy, 3).result() == "done"
        executor.submit(progress.doing, "").result()
        time.sleep(2)  # what is tested: idle for longer than the limit
        assert executor.submit(busy, 0).result() == "done"


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(monkeypatch, value):
    monkeypatch.setenv("LIPGAN_STALL_S", value)
    with pytest.raises(UserError, match="LIPGAN_STALL_S"):
        stall_s()
