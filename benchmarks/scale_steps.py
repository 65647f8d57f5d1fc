"""The steps of benchmarks/scale.py, each in a process of its own, with what it took as the last line of its output.

    python -m benchmarks.scale_steps acquire        in a project folder that `scale.prepare` has laid out

cpu_s        processor time of this process; workers_cpu_s: of the processes that it started, and that ended
peak_mb      most memory of this process; workers_peak_mb: of the largest worker process
"""

import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.core import paths

LOOK_S = 0.2
MADE_BY = ("acquire", "preprocess")
OUTS = tuple(map(str, (paths.RAW, paths.CLIPS, paths.SHARDS, paths.INDEX, paths.PREPROCESS_PAGE)))
NUM_BATCHES = 1000
CLIP_MEMORY_MB = 256  # for decoded clips; as many as there is memory for, otherwise


def acquire() -> dict[str, Any]:
    return _stage("acquire")


def preprocess() -> dict[str, Any]:
    return _stage("preprocess")


def _stage(name: str) -> dict[str, Any]:
    from flows import cli
    from tasks.provenance import project

    project.lay_out()  # after a change of the code
    began = time.time()
    assert cli.main([name]) == 0
    units = (paths.cache() / "units" / name).glob("*/*/rows.json")
    built = sum(len(json.loads(rows.read_text())) for rows in units if rows.stat().st_mtime > began)
    return {"built_clips": built, "clips": pq.read_metadata(paths.CLIPS).num_rows}


def dvc() -> dict[str, Any]:
    """The outs into DVC's cache, as links, and back; then a commit of git for audit and queries."""
    figures: dict[str, Any] = {}
    for name, words in (("commit", ["commit", "--force", *MADE_BY]), ("checkout", ["checkout", *OUTS])):
        if name == "checkout":
            shutil.rmtree(paths.RAW)
            shutil.rmtree(paths.SHARDS)
        began = seconds(resource.RUSAGE_CHILDREN)
        running = subprocess.Popen([sys.executable, "-m", "dvc", *words, "--quiet"])
        _, status, used = os.wait4(running.pid, 0)
        assert status == 0, words
        figures |= {f"{name}_cpu_s": round(seconds(resource.RUSAGE_CHILDREN) - began, 2)}
        figures |= {f"{name}_peak_mb": used.ru_maxrss // 1024}
    git = ["git", "-c", "user.name=benchmark", "-c", "user.email=", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "add", "-A", "--", "*.lock", "*.yaml", "*.csv", "*.json"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "rehearsal"], check=True)
    return figures | disk()


def disk() -> dict[str, Any]:
    """Bytes of the clips in data/raw and data/shards, and of the project with its caches, each link counted once."""
    clips = sum(file.stat().st_size for folder in (paths.RAW, paths.SHARDS) for file in folder.iterdir())
    return {"clips_mb": clips // 1_000_000, "data_and_cache_mb": used(Path("data"), Path(".dvc/cache")) // 1_000_000}


def used(*folders: Path) -> int:
    stats = {stat.st_ino: stat.st_blocks * 512 for folder in folders for file in folder.rglob("*")
             if (stat := file.lstat()) and file.is_file()}  # fmt: skip
    return sum(stats.values())


def audit() -> dict[str, Any]:
    """The links of the audit that look at every clip; the others read files of a few kilobytes."""
    from tasks.audit import chain, evidence, links
    from tasks.provenance import dvc_lock

    case = chain.open_case(without_raw=False)
    outs = dvc_lock.outs_of(case.lock)
    findings = evidence.outs({path: outs[path] for path in outs if path in OUTS}, case.unpushed)
    found = [links.shard_members(case), links.acquired_clips(case), links.raw_members(case, False),
             links.withdrawn(case), links.licences(case)]  # fmt: skip
    assert not any(findings.values()), findings
    assert all(link.state == "holds" for link in found), [link.lines for link in found]
    return {"index_rows": len(case.index or ())}


def queries() -> dict[str, Any]:
    """`audit --clip`, `audit --video`, a mistyped name, and the example's query; the first one reads the index."""
    from examples import query_index
    from tasks.audit import history
    from tasks.core.errors import UserError
    from tasks.storage import index

    middle = index.rows(paths.INDEX, ["video"])
    row = middle[len(middle) // 2]
    asked: dict[str, Callable[[], object]] = {
        "first": lambda: history.of_clips("clip", row["clip"]),
        "clip": lambda: history.of_clips("clip", row["clip"]),
        "video": lambda: history.of_clips("video", row["video"]),
        "mistyped": lambda: history.of_clips("clip", row["clip"] + "7"),
        "example": lambda: query_index.main(paths.INDEX),
    }
    took = {}
    for name, ask in asked.items():
        began = time.process_time()
        with contextlib.suppress(UserError), contextlib.redirect_stdout(io.StringIO()):
            ask()
        took[f"{name}_cpu_s"] = round(time.process_time() - began, 3)
    return took


def withdraw() -> dict[str, Any]:
    """A video withdrawn, and the search for its copies; the row is taken back."""
    from tasks.core import config
    from tasks.storage import index
    from tasks.withdrawal import purge

    _cache_of_this_size()
    video = index.rows(paths.INDEX, ["video"])[0]["video"]
    before = paths.WITHDRAWALS.read_bytes()
    try:
        purge.withdraw(video, "asked", "2026-11-30")
        row_s = seconds(resource.RUSAGE_SELF)
        purge.purge(config.load(paths.PARAMS), yes=False, originals=False)
    finally:
        paths.WITHDRAWALS.write_bytes(before)
    return {"row_cpu_s": row_s}


def _cache_of_this_size() -> None:
    """The sizes share their units; here are those of this one alone."""
    own = Path("cache-of-this-size")
    shards = {file.stat().st_ino for folder in (paths.RAW, paths.SHARDS) for file in folder.iterdir()}
    for unit in (paths.cache() / "units").glob("*/*/[!.]*"):
        if (unit / "shard.tar").stat().st_ino in shards:
            place = own / unit.relative_to(paths.cache())
            if not place.is_dir():
                shutil.copytree(unit, place, copy_function=os.link)
    os.environ["LIPGAN_CACHE"] = str(own.resolve())


def loader() -> dict[str, Any]:
    """An epoch of training drawn, and its first batches.  anon_mb: without the mapped shards, which can be dropped"""
    from tasks.core import config
    from tasks.loading.batches import Batches, batches_per_epoch
    from tasks.loading.clips import Clips

    os.environ["LIPGAN_CLIP_MEMORY_MB"] = str(CLIP_MEMORY_MB)
    p = config.load(paths.PARAMS)
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    clips.check()
    opened_s, opened_mb = seconds(resource.RUSAGE_SELF), peak_mb("self")
    batches = Batches(clips, p.train, 0, 0)
    next(batches)
    drawn_s = seconds(resource.RUSAGE_SELF)
    num = min(NUM_BATCHES, batches_per_epoch(len(clips), p.train) - 1)
    for _ in range(num):
        next(batches)
    return {"train_clips": len(clips), "anon_mb": anon_mb(), "opened_cpu_s": opened_s, "opened_mb": opened_mb,
            "drawn_cpu_s": round(drawn_s - opened_s, 2),
            "batch_cpu_ms": round(1000 * (seconds(resource.RUSAGE_SELF) - drawn_s) / num, 2)}  # fmt: skip


STEPS: dict[str, Callable[[], dict[str, Any]]] = {
    step.__name__: step for step in (acquire, preprocess, dvc, audit, queries, withdraw, loader)
} | {"again": preprocess}  # with every shard there


class Workers:
    """The most memory that a worker process has taken, looked at while it runs."""

    def __init__(self) -> None:
        self.peak_mb, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Workers":
        self._thread.start()
        return self

    def __exit__(self, *rest: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            for worker in active_children():
                self.peak_mb = max(self.peak_mb, peak_mb(worker.pid))


def anon_mb() -> int:
    return _status_mb("self", "RssAnon")


def peak_mb(pid: int | str | None) -> int:
    """VmHWM: `ru_maxrss` would be at least what the process had that started this one."""
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int | str | None, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith(f"{name}:")), 0)


def seconds(who: int) -> float:
    used = resource.getrusage(who)
    return round(used.ru_utime + used.ru_stime, 2)


def main() -> None:
    began = time.monotonic()
    with Workers() as workers:
        about = STEPS[sys.argv[1]]()
    figures = {
        "cpu_s": seconds(resource.RUSAGE_SELF),
        "workers_cpu_s": seconds(resource.RUSAGE_CHILDREN),
        "wall_s": round(time.monotonic() - began, 2),
        "peak_mb": peak_mb("self"),
        "workers_peak_mb": workers.peak_mb,
    }
    sys.stdout.flush()
    print(json.dumps(figures | about))
    sys.stdout.flush()
    os._exit(0)  # what the interpreter does at its end is not the step's


if __name__ == "__main__":
    main()
