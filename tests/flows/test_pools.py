"""Runners: a cluster makes the bytes that one process makes; a worker that dies or hangs ends in one line."""

import hashlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
import s3_server

from flows import cluster, pools
from flows.watch import WorkerWatch
from tasks.core import config, paths, progress
from tasks.core.errors import UserError
from tasks.preprocess import stage as preprocess
from tasks.storage import index, object_store, remote_shards, unit_cache


def hashes(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def started(*words, folder):
    """A command of Dask, as a person starts it in a folder of theirs; this project's settings are not in it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LIPGAN_", "PYTHON"))}
    log = (folder / f"{words[0]}.log").open("w")
    command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
    return subprocess.Popen(command, cwd=folder, env=own, stdout=log, stderr=log)


@pytest.fixture
def scheduler(tmp_path_factory, monkeypatch):
    """(process, address, folder) of a `dask scheduler` without workers; commands of this test use it."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("elsewhere")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process, address = (
        started("scheduler", "--host", "127.0.0.1", "--port", str(port), folder=folder),
        f"tcp://127.0.0.1:{port}",
    )
    monkeypatch.setenv("LIPGAN_DASK", address)
    monkeypatch.setattr(cluster, "CONNECT_S", 60)  # it takes seconds to start
    yield process, address, folder
    process.kill()
    process.wait()


@pytest.fixture
def worker(scheduler):
    _, address, folder = scheduler
    process = started(
        "worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder), folder=folder
    )
    yield process
    process.kill()
    process.wait()


def installed():
    done = subprocess.run([sys.executable, "-c", "import flows"], cwd="/", capture_output=True)
    return done.returncode == 0


def test_a_scheduler_and_a_worker_started_elsewhere_write_the_shards_that_one_process_writes(tiny, monkeypatch, worker):
    """And what such a worker lacks is one line."""
    before = hashes(paths.SHARDS)
    monkeypatch.setenv("LIPGAN_CACHE", str(tiny / "elsewhere"))
    planned, refused = preprocess.plan(config.load(Path("params.yaml")))
    assert planned and not any(unit.done for unit in planned)
    with pools.pool("dask", 2) as executor:
        right, executor.root = executor._settings, "/nowhere"
        if not installed():  # `make` installs it, and then every worker of that environment can import it
            with pytest.raises(
                UserError, match=r"cannot import the project \(No module named 'flows'\); start it in an env"
            ):
                executor.submit(os.getcwd).result()
        executor.root = str(cluster.ROOT)
        for future in [executor.submit(unit_cache.make, preprocess.build, unit) for unit in planned]:
            future.result()
        with pytest.raises(UserError, match="no such table"):
            executor.submit(index.read, Path("nowhere")).result()
        for name, value, message in (
            ("code", "0" * 64, "other code than this folder's; start it again"),
            ("folder", "/nowhere", "/nowhere: No such file or directory; share the project's folder"),
            ("probe", "/nowhere", r"does not see /nowhere; share the unit cache \(LIPGAN_CACHE\)"),
        ):
            executor._settings = executor._settings | {name: value}
            with pytest.raises(UserError, match=message) as caught:
                executor.submit(os.getcwd).result()
            assert "\n" not in str(caught.value)
            executor._settings = right
    assert all(unit.done for unit in planned)
    preprocess.collect(planned, refused)
    assert hashes(paths.SHARDS) == before


def test_a_scheduler_without_workers_and_one_that_dies_are_one_line(workspace, scheduler, monkeypatch, capfd):
    monkeypatch.setattr(cluster, "LOOK_S", 0.2)
    monkeypatch.setenv("LIPGAN_STALL_S", "0.5")
    with pools.pool("dask", 1) as executor:
        with pytest.raises(UserError, match=r"no worker for 0\.5 s \(LIPGAN_STALL_S\); start one: dask worker tcp://"):
            executor.submit(os.getcwd).result()
        future = executor.submit(os.getcwd)
        scheduler[0].kill()
        with pytest.raises(UserError, match="the scheduler went away; start it again"):
            future.result()
    assert "Traceback" not in capfd.readouterr().err


def test_a_result_on_a_worker_that_does_not_answer_is_waited_for(workspace, worker, monkeypatch):
    monkeypatch.setattr(cluster, "LOOK_S", 0.3)
    with pools.pool("dask", 1) as executor:
        with pytest.raises(TimeoutError, match="of the work"):
            executor.submit(exec, "raise TimeoutError('of the work')").result()
        future = executor.submit(os.getcwd)
        deadline = time.monotonic() + 60
        while not future.of.done() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(worker.pid, signal.SIGSTOP)
        threading.Timer(2, os.kill, (worker.pid, signal.SIGCONT)).start()
        assert future.result() == str(workspace)


def test_a_worker_that_shares_no_folder_builds_a_unit_by_way_of_object_storage_and_its_end_is_said(
    tiny, tmp_path, scheduler, monkeypatch, capfd
):
    s3_server.needed()
    _, address, folder = scheduler
    before = hashes(paths.SHARDS)
    with s3_server.serving(tmp_path) as aws:
        for name, value in (aws | {"LIPGAN_UNITS": f"s3://{s3_server.BUCKET}/units"}).items():
            monkeypatch.setenv(name, value)
        object_store._connected.cache_clear()  # of another test, to a server that is gone
        for shard in paths.RAW.glob("*.tar"):
            remote_shards.send(shard, shard.name, f"s3://{s3_server.BUCKET}/raw")
        monkeypatch.setenv("LIPGAN_CACHE", str(tiny / "elsewhere"))
        unit = min(preprocess.plan(config.load(Path("params.yaml")))[0], key=lambda unit: unit.size)
        process = started(
            "worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder), folder=folder
        )
        try:
            with pools.pool("dask", 1) as executor:
                executor._settings |= {"probe": "/nowhere", "folder": "/nowhere"}  # as on a disk of its own
                executor.submit(unit_cache.make, preprocess.build, unit).result()
                assert not unit.done
                unit_cache.fetch_made(unit)
                assert hashes(unit.folder)["shard.tar"] == before[unit.name]
                with pytest.raises(UserError, match="No such file or directory; share the project's folder"):
                    executor.submit(os.getcwd).result()
                process.kill()
                deadline = time.monotonic() + 60
                while "went away" not in (said := capfd.readouterr().err) and time.monotonic() < deadline:
                    executor.demand_workers()
                assert f"dask: worker {address.rpartition(':')[0]}" in said and "workers left: 0" in said
        finally:
            process.kill()
            process.wait()
    object_store._connected.cache_clear()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("kind", "module"), [("dask", "distributed"), ("processes", "os")])
def test_a_worker_that_dies_breaks_the_pool_by_the_same_error_under_each_runner(kind, module, tmp_path, monkeypatch):
    pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    with pools.pool(kind, 1) as executor, pytest.raises(BrokenExecutor):
        executor.submit(die).result()


def test_a_runner_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cluster.importlib, "import_module", lambda name: __import__(f"no_{name}"))
    with pytest.raises(UserError, match=r"pip install -e '\.\[dask\]'"):
        pools.pool("dask", 1)


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
