"""Time of the audit: a query over a long git history, first and repeated, and hashing compared with md5sum.

    python -m benchmarks.audit [--commits 200] [--clips 1000] [--gigabytes 1]    writes benchmarks/results/audit.json

A generated history, each commit with its own dvc.lock and index; each query is a command in a separate process, so that
Python's start counts. Then shards of noise: `md5sum` one file after another, and the audit's hashing of the same files
(md5 of each, sha256 of each clip), in one run, on one disk.
"""

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from benchmarks.machine import REPOSITORY, RESULTS, commit, machine
from tasks.audit import evidence
from tasks.core import paths
from tasks.core.files import md5_file
from tests import history_of

SHARD_BYTES = 64 << 20
TAIL_BYTES = 2 * tarfile.BLOCKSIZE + -(SHARD_BYTES + 2 * tarfile.BLOCKSIZE) % tarfile.RECORDSIZE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--clips", type=int, default=1000, help="in the index of the first commit")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        os.environ["LIPGAN_CACHE"] = str(Path(scratch) / ".cache")
        history_of.grown(args.commits, args.clips)
        first_s, again_s = query(args.commits), query(args.commits)
        reading, hashing = shards(args.gigabytes)
    result = {
        "machine": machine(),
        "commit": commit(),
        "commits": args.commits,
        "clips": args.clips,
        "first_question_s": round(first_s, 2),
        "next_question_s": round(again_s, 2),
        "gigabytes": args.gigabytes,
        "md5sum_s": round(reading, 2),
        "audit_hashing_s": round(hashing, 2),
        "audit_over_md5sum": round(hashing / reading, 2),
    }
    print(json.dumps(result, indent=2))
    (RESULTS / "audit.json").write_text(json.dumps(result, indent=2) + "\n")


def query(num_commits: int) -> float:
    """Seconds of a query that covers every commit."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "flows", "audit", "--clip", "new0010/c", "--json"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    spent_s = time.monotonic() - began
    assert sum(span["num_commits"] for span in json.loads(done.stdout)["spans"]) == num_commits
    return spent_s


def shards(gigabytes: float) -> tuple[float, float]:
    """Seconds of `md5sum` on shards of noise, and of the audit's md5 of files and sha256 of clips."""
    rows = []
    paths.SHARDS.mkdir(parents=True)
    for number in range(max(1, round(gigabytes * 1e9 / SHARD_BYTES))):
        name, content = f"train-{number:06d}.tar", os.urandom(SHARD_BYTES)
        (paths.SHARDS / name).write_bytes(content + bytes(TAIL_BYTES))
        row = {"shard": name, "offset": 0, "size": SHARD_BYTES, "clip": name}
        rows.append(row | {"member_sha256": hashlib.sha256(content).hexdigest()})
    files = sorted(paths.SHARDS.iterdir())
    subprocess.run(["sync"], check=True)
    subprocess.run(["md5sum", *files], check=True, stdout=subprocess.DEVNULL)  # both then read from memory
    began = time.monotonic()
    subprocess.run(["md5sum", *files], check=True, stdout=subprocess.DEVNULL)
    reading = time.monotonic() - began
    began = time.monotonic()
    evidence.in_parallel(md5_file, files, "hashing")
    num_clips, findings = evidence.members(paths.SHARDS, rows)
    hashing = time.monotonic() - began
    assert num_clips == len(files) and not findings, findings
    return reading, hashing


if __name__ == "__main__":
    main()
