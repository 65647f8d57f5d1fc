"""Runners: a cluster makes the bytes that one process makes; a worker that dies or hangs ends in one line."""

import hashlib
import os
import signal
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from flows import pools
from flows.watch import Watch, stall_s
from tasks.core import config, paths, progress
from tasks.core.errors import UserError
from tasks.features import yaw
from tasks.preprocess import stage as preprocess
from tasks.storage import unit_cache


def hashes(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize(("kind", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_a_cluster_makes_the_shards_that_one_process_makes(tiny, monkeypatch, kind, module):
    pytest.importorskip(module)
    before = hashes(paths.SHARDS)
    monkeypatch.setenv("LIPGAN_CACHE", str(tiny / "elsewhere"))
    planned, refused = preprocess.plan(config.load(Path("params.yaml")))
    assert planned and not any(unit.done for unit in planned)
    with pools.pool(kind, 2) as executor:
        for future in [executor.submit(unit_cache.make, preprocess.build, unit) for unit in planned]:
            future.result()
        with pytest.raises(UserError, match="no yaw estimator"):
            executor.submit(yaw.load, Path("nowhere")).result()
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
    """Work that something from outside ends or halts."""
    progress.doing("main/1/00007 of train-000003-of-000010.tar")
    os.kill(os.getpid(), number)
    time.sleep(600)


def ended(number):
    with Watch() as watch, pools.pool("processes", 1, watch.notes) as executor:
        with pytest.raises(BrokenExecutor):
            executor.submit(hit_by, number).result()
        return str(watch.error("train-000003-of-000010.tar"))


def test_a_worker_that_the_system_kills_is_named_with_what_it_was_at():
    said = ended(signal.SIGKILL)
    assert "ended by SIGKILL at main/1/00007 of train-000003-of-000010.tar" in said
    assert "memory" in said and "\n" not in said


def test_a_worker_that_crashes_is_named_with_what_it_was_at():
    assert "ended by SIGSEGV at main/1/00007" in ended(signal.SIGSEGV)


def test_a_worker_that_stands_still_is_ended_and_named(monkeypatch):
    monkeypatch.setenv("LIPGAN_STALL_S", "1.5")
    said = ended(signal.SIGSTOP)
    assert "stood still for 1.5 s" in said and "at main/1/00007" in said


def busy(seconds):
    progress.doing("something")
    while time.process_time() < seconds:
        pass
    return "done"


def test_a_worker_that_computes_or_waits_for_work_is_left_alone(monkeypatch):
    monkeypatch.setenv("LIPGAN_STALL_S", "1")
    with Watch() as watch, pools.pool("processes", 1, watch.notes) as executor:
        assert executor.submit(busy, 3).result() == "done"
        executor.submit(progress.doing, "").result()
        time.sleep(2)  # this is what is tested: nothing to do for longer than the limit
        assert executor.submit(busy, 0).result() == "done"


@pytest.mark.parametrize("given", ["soon", "-1", "inf", "nan"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(monkeypatch, given):
    monkeypatch.setenv("LIPGAN_STALL_S", given)
    with pytest.raises(UserError, match="LIPGAN_STALL_S"):
        stall_s()
