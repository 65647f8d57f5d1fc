"""LRS2's size rehearsed: what acquire, preprocess, DVC, index, audit, withdrawal and loader take as the corpus grows.

    python -m benchmarks.scale run --grid ../shared/grid/video --folder FOLDER      20,000 clips; can be resumed
    python -m benchmarks.scale tables --grid ../shared/grid/video --folder FOLDER   tables of LRS2's length
    python -m benchmarks.scale report --folder FOLDER         writes benchmarks/results/scale.json, prints the tables

`run` makes corpora of four sizes in LRS2's form (scale_corpus.py), and takes each from its parts to batches. `tables`
has projects of up to 144,482 clips whose shards are one file (scale_tables.py), and archives of as many clips of 200
bytes: for whatever is done without looking into a clip, LRS2's size is measured instead of computed. Each step is a
process of its own (scale_steps.py).
"""

import argparse
import json
import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import yaml

from benchmarks import scale_corpus as corpus
from benchmarks import scale_report
from benchmarks.machine import REPOSITORY
from tasks.core.files import all_or_nothing

SIZES = (2_500, 5_000, 10_000, 20_000)
NUM_SHARDS = {"pretrain": 64, "train": 32, "val": 8, "test": 8}  # of the largest; a smaller size is the first of each
NUM_SOURCES, NUM_FRAMES = 300, 15
TABLE_SIZES = (9_000, 36_000, corpus.LRS2_CLIPS)
ONE_SHARD, TINY_BYTES = dict.fromkeys(corpus.SPLITS, 1), 200
RECORD = "measured.json"
STAGES = ("acquire", "preprocess")
AFTER = ("dvc", "audit", "queries", "withdraw", "loader")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "tables", "report"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--grid", type=Path, default=REPOSITORY.parent / "shared/grid/video")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    args = parser.parse_args()
    folder = args.folder.resolve()
    if args.what == "tables":
        return tables(folder, args.grid)
    if args.what == "report":
        return scale_report.write(json.loads((folder / RECORD).read_text()))
    encoded: list[bytes] = []
    for size in args.sizes:
        project = folder / str(size)
        if not project.is_dir():
            encoded = encoded or corpus.sources(args.grid, NUM_SOURCES, NUM_FRAMES)
            prepare(project, size, max(args.sizes), encoded)
        for step in (*STAGES, "again", *AFTER):
            measure(project, step, folder, folder / "cache")


def prepare(out: Path, size: int, largest: int, encoded: list[bytes]) -> None:
    """A project folder with its archive."""
    with all_or_nothing(out) as project:
        settings(project, NUM_SHARDS)
        corpus.write(project / "lrs2", corpus.layout(largest, NUM_SHARDS, size / largest), encoded)


def settings(project: Path, num_shards: dict[str, int] | None = None) -> None:
    from tasks.provenance import project as projects

    (project / "data").mkdir(parents=True)
    fields = {name: "benchmark" for name in ("who", "organisation", "date", "signed_sha256", "licence")}
    (project / "data/agreement.json").write_text(json.dumps({"corpus": "lrs2", **fields}))
    with chdir(project):
        projects.lay_out()
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    values["corpus"]["name"] = "lrs2"
    values["corpus"]["lrs2"] |= {"source": "folder", "folder": "lrs2"}
    values["corpus"]["num_shards"] |= num_shards or dict.fromkeys(corpus.SPLITS, "auto")
    values["faces"]["mesh"] = False  # work on each frame, in the workers: twice as fast, and it grows with the frames
    (project / "params.yaml").write_text(yaml.safe_dump(values))


def tables(folder: Path, grid: Path) -> None:
    """The steps without workers, on tables of up to LRS2's length."""
    for size in TABLE_SIZES:
        project = folder / f"tables-{size}"
        if not project.is_dir():
            with all_or_nothing(project) as partial:
                settings(partial)
                command = [sys.executable, "-m", "benchmarks.scale_tables", str(size), str(grid)]
                subprocess.run(command, cwd=partial, env=environment(partial / ".cache"), check=True)
        for step in ("again", *AFTER):
            measure(project, step, folder, project / ".cache")
        archive = folder / f"archive-{size}"
        if not archive.is_dir():
            with all_or_nothing(archive) as partial:
                settings(partial)
                corpus.write(partial / "lrs2", corpus.layout(size, ONE_SHARD), [os.urandom(TINY_BYTES)])
        measure(archive, "acquire", folder, archive / ".cache")


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "LIPGAN_CACHE": str(cache), "LIPGAN_TRACKING": "off"}


def measure(project: Path, step: str, folder: Path, cache: Path) -> dict[str, Any]:
    """What a step took; run only if that is not in the folder's record yet."""
    record = folder / RECORD
    known = json.loads(record.read_text()) if record.is_file() else {}
    of_size = known.setdefault(project.name, {})
    if step not in of_size:
        print(f"{project.name}: {step}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.scale_steps", step]
        ran = subprocess.run(
            command, cwd=project, env=environment(cache), stdout=subprocess.PIPE, text=True, check=True
        )
        of_size[step] = json.loads(ran.stdout.splitlines()[-1])
        partial = record.with_suffix(".new")
        partial.write_text(json.dumps(known, indent=2) + "\n")
        partial.replace(record)
        print(f"{project.name}: {step}: {of_size[step]}", file=sys.stderr, flush=True)
    return dict(of_size[step])


if __name__ == "__main__":
    main()
