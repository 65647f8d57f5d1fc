"""Acquiring LRS2, compared with reading and hashing its parts by the usual tools.

    python -m benchmarks.acquire [--gigabytes 2] [--delete-parts]     writes benchmarks/results/acquire.json
    python -m benchmarks.acquire --clips 144000 --clip-bytes 2000     as many clips as LRS2 has, each a tiny one;
                                                                      writes benchmarks/results/acquire-144000.json

A generated archive of noise clips, split into five parts. In one run, on one disk: `cat parts | sha256sum`, then the
stage from parts to raw shards and clip table, in a separate process whose peak memory is recorded.
"""

import argparse
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from benchmarks.machine import REPOSITORY, RESULTS, commit, machine

PARTS = [f"lrs2_v1_parta{letter}" for letter in "abcde"]
CLIP_BYTES = 350_000  # about LRS2's mean
CLIPS_A_VIDEO = 20
TEXT = b"Text:  WHEN YOU ARE COOKING CHIPS AT HOME THE WAY TO GET THEM CRISPY IS TO COOK THEM TWICE\nConf:  4\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--clips", type=int, help="how many; default: as many as fill --gigabytes")
    parser.add_argument("--clip-bytes", type=int, default=CLIP_BYTES, help="mean size; default: about LRS2's")
    parser.add_argument("--delete-parts", action="store_true")
    parser.add_argument("--folder", type=Path, help="where there is room; default: the folder for temporary files")
    parser.add_argument("--stage", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        return stage()
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        folder = Path(scratch)
        num_clips = args.clips or int(args.gigabytes * 1e9 / args.clip_bytes)
        generate(folder, num_clips, args.clip_bytes)
        names = [str(folder / "lrs2" / name) for name in PARTS]
        num_bytes = sum(os.path.getsize(name) for name in names)
        settings(folder, args.delete_parts)
        subprocess.run(["sync"], check=True)
        reading_s = sha256sum(names)
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.acquire", "--stage"],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY), "LIPGAN_CACHE": str(folder / ".cache")},
            stdout=subprocess.PIPE, text=True,
        ) as running:  # fmt: skip
            peak_disk = used(folder)
            while running.poll() is None:
                peak_disk = max(peak_disk, used(folder))
                time.sleep(0.25)
            output = running.stdout.read()
        stage_s = time.monotonic() - began
        if running.returncode:
            raise SystemExit(f"the stage ended with {running.returncode}")
        reading_again_s = None if args.delete_parts else sha256sum(names)
    figures = json.loads(output.splitlines()[-1])
    result = {
        "machine": machine(),
        "commit": commit(),
        "bytes": num_bytes,
        "clips": num_clips,
        "delete_parts": args.delete_parts,
        "cat_sha256sum_s": round(reading_s, 2),
        "cat_sha256sum_again_s": reading_again_s and round(reading_again_s, 2),
        "acquire_s": round(stage_s, 2),
        "throughput_ratio": round(reading_s / stage_s, 3),
        "peak_disk_share": round(peak_disk / num_bytes, 3),  # of the archive's size; at the start all parts are there
        **figures,
    }
    suffix = (f"-{num_clips}" if args.clips else "") + ("-delete-parts" if args.delete_parts else "")
    (RESULTS / f"acquire{suffix}.json").write_text(json.dumps(result, indent=2) + "\n")
    print("| what | s | MB/s |\n| --- | --- | --- |")
    for what, took_s in (("cat parts, sha256sum", reading_s), ("acquire, start to end", stage_s)):
        print(f"| {what} | {took_s:.1f} | {num_bytes / took_s / 1e6:.0f} |")
    print(
        f"throughput ratio {result['throughput_ratio']}, largest memory of the process {figures['peak_mb']} MB, "
        f"largest disk {result['peak_disk_share']} times the archive"
    )


def stage() -> None:
    """The stage without Prefect, as its flow runs it; the last line of stdout is its figures."""
    from tasks.acquire import stage as acquire
    from tasks.core import config
    from tasks.storage import unit_cache

    began = time.monotonic()
    p = config.load()
    planned, refused = acquire.plan(p)
    read_s = time.monotonic() - began
    for unit in planned:
        unit_cache.make(acquire.build, unit)
        acquire.release(unit)
    line = acquire.collect(planned, refused, p)
    print(line, file=sys.stderr)
    figures = {
        "reading_s": round(read_s, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(figures))


def used(folder: Path) -> int:
    """Bytes of the files in a folder; hard links count once."""
    sizes = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.stat(os.path.join(place, name))
            except FileNotFoundError:  # the stage has just deleted or renamed it
                continue
            sizes[stat.st_ino] = stat.st_size
    return sum(sizes.values())


def generate(folder: Path, num_clips: int, clip_bytes: int) -> None:
    """Parts, lists and MD5SUMS in folder/lrs2; two thirds of the clips are pretrain's, as LRS2's are."""
    rng, out = np.random.default_rng(0), folder / "lrs2"
    out.mkdir()
    split_of = {0: "val", 1: "test"}
    lists = {name: [] for name in ("pretrain", "train", "val", "test")}
    edge = num_clips * (clip_bytes + 1800) / len(PARTS)
    with Cut(out, edge) as cut, tarfile.open(fileobj=cut, mode="w|") as tar:
        for number in range(num_clips):
            video = number // CLIPS_A_VIDEO
            split = split_of.get(video, "pretrain" if video % 3 else "train")
            clip = f"{5_535_415_699_068_794_000 + video}/{number % CLIPS_A_VIDEO:05d}"
            lists[split].append(clip)
            part = "pretrain" if split == "pretrain" else "main"
            for ending, content in (("mp4", rng.bytes(int(rng.integers(clip_bytes // 2, clip_bytes * 3 // 2)))),
                                    ("txt", TEXT)):  # fmt: skip
                info = tarfile.TarInfo(f"mvlrs_v1/{part}/{clip}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    sums = []
    for name, lines in lists.items():
        content = "".join(f"{line}\n" for line in lines).encode()
        (out / f"{name}.txt").write_bytes(content)
        sums.append(f"{hashlib.md5(content).hexdigest()}  {name}.txt\n")
    (out / "MD5SUMS").write_text("".join(sums))


class Cut(io.RawIOBase):
    """A file that continues in the next part when one is full."""

    def __init__(self, folder: Path, edge: float) -> None:
        self._folder, self._edge, self._number = folder, edge, 0
        self._file = (folder / PARTS[0]).open("wb")

    def writable(self) -> bool:
        return True

    def write(self, content) -> int:
        if self._file.tell() > self._edge and self._number < len(PARTS) - 1:
            self._file.close()
            self._number += 1
            self._file = (self._folder / PARTS[self._number]).open("wb")
        return self._file.write(content)

    def close(self) -> None:
        self._file.close()
        super().close()


def settings(folder: Path, delete_parts: bool) -> None:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    values["corpus"]["name"] = "lrs2"
    values["corpus"]["lrs2"] |= {"source": "folder", "folder": "lrs2"}
    values["corpus"]["num_shards"] |= {"train": 150, "val": 4, "test": 4, "pretrain": 300}  # README "LRS2"
    values["acquire"]["delete_parts"] = delete_parts
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    (folder / "data").mkdir()
    fields = {name: "benchmark" for name in ("who", "organisation", "date", "signed_sha256", "licence")}
    (folder / "data/agreement.json").write_text(json.dumps({"corpus": "lrs2", **fields}))


def sha256sum(names: list[str]) -> float:
    """Seconds of `cat parts | sha256sum`."""
    began = time.monotonic()
    with subprocess.Popen(["cat", *names], stdout=subprocess.PIPE) as cat:
        subprocess.run(["sha256sum"], stdin=cat.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
