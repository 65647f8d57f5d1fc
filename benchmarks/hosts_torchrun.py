"""Rehearsals of stage `train` by `torchrun` on two hosts: gloo over their network, c10d rendezvous on the first."""

import csv
import re
import signal
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.netns import Host, hosts
from benchmarks.rehearsal import BUCKET, ENVIRONMENT, Rehearsal, finished, hashes, line_with, storage, wait_for
from tasks.core import paths

NAMES = ("a", "b", "store")
OUTS = (paths.GENERATOR, paths.DISCRIMINATORS, paths.TRAIN_CURVE)
STALL_S = "20"
LOST = "another process of the training"
STREAM = {"LIPGAN_DATA": "stream"}


def start(host: Host, log: Path, num_hosts: str, num: int, *options: str, **variables: str) -> Any:
    words = ["-m", "torch.distributed.run", "--nnodes", num_hosts, "--nproc-per-node", str(num)]
    if num_hosts != "1":
        words += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "a:29500", "--rdzv-id", "lipgan"]
    environment = ENVIRONMENT | {"LIPGAN_STALL_S": STALL_S} | variables
    return host.start([sys.executable, *words, *options, "-m", "tasks.train"], log, **environment)


def has_state(host: Host) -> bool:
    return any((host.files / ".cache/train").glob("*/state.pt"))


def curve(folder: Path) -> list[dict[str, str]]:
    with (folder / paths.TRAIN_CURVE).open() as file:
        return list(csv.DictReader(file))


def furthest(one: Path, two: Path, rows: slice = slice(None)) -> float:
    """The largest relative difference of the losses of two trainings."""
    pairs = [
        (float(a[name]), float(b[name]))
        for a, b in zip(curve(one)[rows], curve(two)[rows], strict=True)
        for name in ("l1", "g_loss", "d_loss", "sync_loss")
    ]
    return max(abs(a - b) / max(abs(a), 1e-6) for a, b in pairs)


@cache
def on_one_host(rehearsal: Rehearsal, num: int, data: str) -> Path:
    """The folder in which `num` processes of one host trained."""
    with hosts(NAMES[:1], rehearsal.scratch, shared=True) as (host,):
        rehearsal.lay_out(host, paths.SHARDS, paths.INDEX)
        log = rehearsal.log(f"one-{num}-{data}")
        assert not finished(start(host, log, "1", num, LIPGAN_DATA=data)), log.read_text()[-3000:]
        return host.files


def shared(rehearsal: Rehearsal) -> dict[str, Any]:
    """Two hosts with one folder: the losses of one process."""
    one, two = (on_one_host(rehearsal, num, "disk") for num in (1, 2))
    with hosts(NAMES[:2], rehearsal.scratch, shared=True) as pair:
        rehearsal.lay_out(pair[0], paths.SHARDS, paths.INDEX)
        logs = [rehearsal.log(host.name) for host in pair]
        status = [finished(run) for run in [start(h, log, "2", 1) for h, log in zip(pair, logs, strict=True)]]
        return {
            "exit": status,
            "same": hashes(pair[0].files, *OUTS) == hashes(two, *OUTS),
            "losses_off_at_step_1": furthest(one, pair[0].files, slice(1)),
            "losses_off_at_most": furthest(one, pair[0].files),
            "said": line_with(logs[0], "writes the results") or line_with(logs[1], "writes the results"),
        }


def streamed(rehearsal: Rehearsal, event: str) -> dict[str, Any]:
    """Two hosts that share nothing, shards from a bucket; stopped, or cut, in the middle and begun again."""
    wanted = hashes(on_one_host(rehearsal, 2, "stream"), *OUTS)
    with (
        hosts(NAMES, rehearsal.scratch, shared=False) as (a, b, store),
        storage(store, rehearsal.log("store")) as aws,
    ):
        rehearsal.lay_out(store, paths.SHARDS)
        put = f"import s3fs; s3fs.S3FileSystem().put('{paths.SHARDS}', 's3://{BUCKET}/shards', recursive=True)"
        assert not finished(store.start([sys.executable, "-c", put], rehearsal.log("put"), **aws))
        for host in (a, b):
            rehearsal.lay_out(host, paths.SHARDS, paths.INDEX)
            for shard in (host.files / paths.SHARDS).glob("train-*.tar"):
                shard.unlink()
        variables = STREAM | aws | {"LIPGAN_SHARDS": f"s3://{BUCKET}/shards"}
        logs = {host.name: rehearsal.log(host.name) for host in (a, b)}
        runs = {host.name: start(host, logs[host.name], "2", 1, **variables) for host in (a, b)}
        wait_for(lambda: all(map(has_state, (a, b))) or all(r.poll() is not None for r in runs.values()), "states")
        row: dict[str, Any] = {}
        if event == "stopped":
            runs["a"].send_signal(signal.SIGTERM)
            row["exit"] = [finished(run) for run in runs.values()]
            row["said"] = line_with(logs["a"], "stopped by") or line_with(logs["b"], "stopped by")
            again = [(host, "2", 1) for host in (a, b)]
        else:
            goes, stays = (a, b) if event == "a" else (b, a)
            goes.vanish()
            cut_s = time.monotonic()
            log = logs[stays.name]
            wait_for(lambda: LOST in log.read_text() or runs[stays.name].poll() is not None, LOST)
            row |= {"said": line_with(log, LOST), "said_after_s": round(time.monotonic() - cut_s, 1)}
            for host in (a, b):
                host.stop()
            again = [(stays, "1", 2)]
        logs = {host.name: rehearsal.log(f"{host.name}-again") for host in (a, b)}
        ended = [finished(run) for run in [start(h, logs[h.name], hs, num, **variables) for h, hs, num in again]]
        writer = next((h for h, _, _ in again if (h.files / paths.GENERATOR).is_file()), a)
        text = "".join(log.read_text() for log in logs.values() if log.is_file())
        resumed = re.search(r"resuming at step \d+ of \d+", text)
        same = not any(ended) and hashes(writer.files, *OUTS) == wanted
        return row | {
            "resumed": resumed[0] if resumed else "",
            "resumed_on": [host.name for host, _, _ in again],
            "exit_again": ended,
            "same": same and bool(resumed),
            "log": "" if same else text[-2000:],
        }


def elastic(rehearsal: Rehearsal) -> dict[str, Any]:
    """`--nnodes 1:2 --max-restarts 3` and a shared folder: the host that is left goes on by itself."""
    one = on_one_host(rehearsal, 1, "disk")
    with hosts(NAMES[:2], rehearsal.scratch, shared=True) as (a, b):
        rehearsal.lay_out(a, paths.SHARDS, paths.INDEX)
        logs = [rehearsal.log(host.name) for host in (a, b)]
        runs = [
            start(h, log, "1:2", 1, "--max-restarts", "3", "--rdzv-conf", "last_call_timeout=10")
            for h, log in zip((a, b), logs, strict=True)
        ]
        wait_for(lambda: has_state(a) or runs[0].poll() is not None, "a state")
        b.vanish()
        cut_s = time.monotonic()
        wait_for(lambda: LOST in logs[0].read_text() or runs[0].poll() is not None, LOST)
        said_s = time.monotonic() - cut_s
        status = finished(runs[0])
        text = logs[0].read_text()
        resumed = re.search(r"resuming at step \d+ of \d+", text)
        ends = status == 0 and bool(resumed) and len(curve(a.files)) == len(curve(one))
        return {
            "said": line_with(logs[0], LOST),
            "said_after_s": round(said_s, 1),
            "ended_after_s": round(time.monotonic() - cut_s, 1),
            "resumed": resumed[0] if resumed else "",
            "losses_off_at_most": furthest(one, a.files) if ends else None,
            "same": "by rounding" if ends else False,
            "log": "" if ends else text[-2000:],
        }


REHEARSALS = {
    "shared folder": shared,
    "streamed, apart, stopped and resumed": lambda rehearsal: streamed(rehearsal, "stopped"),
    "streamed, apart, the second host vanishes, resumed on the first": lambda rehearsal: streamed(rehearsal, "b"),
    "streamed, apart, the first host vanishes, resumed on the second": lambda rehearsal: streamed(rehearsal, "a"),
    "shared folder, one of 1 to 2 hosts vanishes, goes on by itself": elastic,
}
