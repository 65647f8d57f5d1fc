"""Rehearsals of `preprocess` by `dask scheduler` and `dask worker`, started by hand on hosts of their own."""

import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.netns import Host, hosts
from benchmarks.rehearsal import BUCKET, ENVIRONMENT, Rehearsal, finished, hashes, install, line_with, storage, wait_for
from tasks.core import paths

NAMES = ("stage", "scheduler", "worker1", "worker2", "store")
OUTS = (paths.SHARDS, paths.INDEX)
ADDRESS = "tcp://scheduler:8786"


def start_scheduler(rehearsal: Rehearsal, host: Host) -> None:
    log = rehearsal.log("scheduler")
    host.start([sys.executable, "-m", "dask", "scheduler", "--no-dashboard"], log, **plain({}))
    wait_for(lambda: "Scheduler at" in log.read_text(), "the scheduler")


def start_worker(rehearsal: Rehearsal, host: Host, variables: dict[str, str]) -> None:
    words = [sys.executable, "-m", "dask", "worker", ADDRESS, "--nthreads", "1", "--no-dashboard"]
    host.start([*words, "--local-directory", "/tmp"], rehearsal.log(host.name), **plain(variables))


def plain(variables: dict[str, str]) -> dict[str, str]:
    """Nothing of this project, as of a person who starts Dask in a shell of theirs."""
    return {"PYTHONPATH": "", "OMP_NUM_THREADS": "1"} | variables


def start_stage(rehearsal: Rehearsal, host: Host, name: str, variables: dict[str, str]) -> tuple[Any, Path]:
    log = rehearsal.log(name)
    own = {"LIPGAN_RUNNER": "dask", "LIPGAN_DASK": ADDRESS, "LIPGAN_WORKERS": "2", "LIPGAN_STALL_S": "120"}
    return host.start([sys.executable, "-m", "flows", name], log, **ENVIRONMENT | own | variables), log


def num_units(host: Host) -> int:
    return len(list((host.files / ".cache/units/preprocess").glob("*/" + "?" * 64)))


def shared(rehearsal: Rehearsal, vanishes: str = "") -> dict[str, Any]:
    """All hosts see the project's folder."""
    with hosts(NAMES, rehearsal.scratch, shared=True) as (stage, scheduler, *workers, _):
        rehearsal.lay_out(stage, paths.RAW, paths.CLIPS)
        return preprocess(rehearsal, stage, scheduler, workers, {}, {}, vanishes)


def apart(rehearsal: Rehearsal, vanishes: str = "") -> dict[str, Any]:
    """No host sees another's disk: code is installed on each, data are in a bucket; `acquire` runs there, too."""
    with (
        hosts(NAMES, rehearsal.scratch, shared=False) as (stage, scheduler, *workers, store),
        storage(store, rehearsal.log("store")) as aws,
    ):
        rehearsal.lay_out(stage, **{"acquire.raw": f"s3://{BUCKET}/raw"})
        units = {"LIPGAN_UNITS": f"s3://{BUCKET}/units"}
        of_workers = {host.name: install(host) for host in workers}
        row = preprocess(rehearsal, stage, scheduler, workers, aws | units, aws, vanishes, of_workers, "acquire")
        left = [file for host in workers for file in host.files.rglob("*.tar")]
        return row | {"same": row["same"] and not left}


def preprocess(
    rehearsal: Rehearsal,
    stage: Host,
    scheduler: Host,
    workers: list[Host],
    of_stage: dict[str, str],
    of_all_workers: dict[str, str],
    vanishes: str,
    of_workers: dict[str, dict[str, str]] | None = None,
    *before: str,
) -> dict[str, Any]:
    def start_cluster() -> None:
        start_scheduler(rehearsal, scheduler)
        for host in workers:
            start_worker(rehearsal, host, of_all_workers | (of_workers or {}).get(host.name, {}))

    start_cluster()
    for name in before:
        process, log = start_stage(rehearsal, stage, name, of_stage)
        assert not finished(process), log.read_text()[-3000:]
    began_s = time.monotonic()
    process, log = start_stage(rehearsal, stage, "preprocess", of_stage)
    row: dict[str, Any] = {}
    if vanishes:
        wait_for(lambda: num_units(stage) >= 1 or process.poll() is not None, "the first unit")
        row["units_before"] = num_units(stage)
        cut_s = time.monotonic()
        (scheduler if vanishes == "scheduler" else workers[0]).vanish()
        words = "error: " if vanishes == "scheduler" else "went away"
        wait_for(lambda: words in log.read_text() or process.poll() is not None, words)
        row |= {"said": line_with(log, words), "said_after_s": round(time.monotonic() - cut_s, 1)}
    row["exit"] = [finished(process)]
    if vanishes == "scheduler":
        assert log.read_text().count("error: ") == 1 and "Traceback" not in log.read_text(), log.read_text()[-3000:]
        row["ended_after_s"] = round(time.monotonic() - cut_s, 1)
        for host in (scheduler, *workers):
            host.stop()
        scheduler.come_back()
        start_cluster()
        process, log = start_stage(rehearsal, stage, "preprocess", of_stage)
        row["exit"].append(finished(process))
        row["resumed"] = line_with(log, "preprocess: ran")
    row["took_s"] = round(time.monotonic() - began_s, 1)
    same = not process.returncode and hashes(stage.files, *OUTS) == hashes(rehearsal.one, *OUTS)
    return row | {"same": same, "log": "" if same else log.read_text()[-2000:]}


REHEARSALS = {
    "shared folder": shared,
    "shared folder, a worker's host vanishes": lambda rehearsal: shared(rehearsal, "worker"),
    "shared folder, the scheduler's host vanishes": lambda rehearsal: shared(rehearsal, "scheduler"),
    "apart, object storage": apart,
    "apart, a worker's host vanishes": lambda rehearsal: apart(rehearsal, "worker"),
}
