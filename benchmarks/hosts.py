"""Several machines, rehearsed on this one: Dask and torchrun on hosts with a network of their own; some vanish.

    python -m benchmarks.hosts [dask] [torchrun]      needs root and ip (iproute2); writes benchmarks/results/hosts.json

The hosts are network namespaces (benchmarks/netns.py). "Shared": they see one project folder; "apart": each has a disk
of its own, a copy of the code that was installed there, and an S3 server (moto) on another host. One that vanishes
loses its link in the middle of the work, so that nobody is told. What one machine makes is what all have to make, by
hash. The corpus is the embedded one, tiny; times are those of a busy machine and say only what is waited for.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks import hosts_dask, hosts_torchrun
from benchmarks.machine import REPOSITORY, RESULTS, commit, machine
from benchmarks.netns import lacking
from benchmarks.rehearsal import ENVIRONMENT, Rehearsal
from tasks.core import paths

SMALL: dict[str, Any] = {
    "corpus.size": "tiny",
    "corpus.num_shards": {"train": 6, "val": 1, "test": 1, "hard": 1, "pretrain": 1},
    "model.width": 0.125,
    "train.num_runs": 0,
    "train.audio_from_expert": "never",
    "train.terms.expert.weight": 0.0,
    "train.terms.perceptual.weight": 0.0,
    "train.num_steps": 8,
    "train.batch_size": 4,
    "train.warmup_steps": 2,
    "train.windows_per_clip": 8,
    "train.log_every": 1,
    "train.val_every": 8,
    "train.val_samples": 8,
    "train.checkpoint_every": 2,
    "train.precision": "fp32",
}


def params_text(**changes: Any) -> str:
    values = yaml.safe_load((REPOSITORY / paths.PARAMS).read_text())
    for name, value in (SMALL | changes).items():
        *sections, last = name.split(".")
        place = values
        for section in sections:
            place = place[section]
        place[last] = value
    return yaml.safe_dump(values)


def one_machine(folder: Path) -> Path:
    """The project after acquire and preprocess, by worker processes of this machine."""
    folder.mkdir()
    (folder / paths.PARAMS).write_text(params_text())
    for stage in ("acquire", "preprocess"):
        words = [sys.executable, "-m", "flows", stage]
        subprocess.run(words, cwd=folder, env=ENVIRONMENT | {"LIPGAN_WORKERS": "1"}, check=True, capture_output=True)
    return folder


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"dask": hosts_dask.REHEARSALS, "torchrun": hosts_torchrun.REHEARSALS}
    parser.add_argument("parts", nargs="*", metavar="PART", help="dask, torchrun, or words of a rehearsal's name")
    args = parser.parse_args(argv)
    if missing := lacking():
        sys.stderr.write(f"benchmarks.hosts: {missing}\n")
        return 2
    rows: dict[str, dict[str, Any]] = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the hosts go, too
    scratch = Path(tempfile.mkdtemp(prefix="lipgan-hosts-"))
    try:
        rehearsal = Rehearsal(scratch, one_machine(scratch / "one"), params_text)
        for part, rehearsals in parts.items():
            for name, rehearse in rehearsals.items():
                if not args.parts or part in args.parts or any(words in name for words in args.parts):
                    rows[f"{part}: {name}"] = row = rehearse(rehearsal)
                    sys.stderr.write(f"{part}: {name}: {json.dumps(row)}\n")
                    keep(rows)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write(table(rows))
    return 0 if all(row["same"] for row in rows.values()) else 1


def keep(rows: dict[str, dict[str, Any]]) -> None:
    """Among the rows of earlier runs."""
    file = RESULTS / "hosts.json"
    known = json.loads(file.read_text())["rows"] if file.is_file() else {}
    result = {"commit": commit(), "machine": machine(), "rows": known | rows}
    file.write_text(json.dumps(result, indent=2) + "\n")


def table(rows: dict[str, dict[str, Any]]) -> str:
    lines = ["| rehearsal | the same result | what was said | after |", "|-|-|-|-|"]
    for name, row in rows.items():
        after = f"{row['said_after_s']:.0f} s" if "said_after_s" in row else ""
        same = row["same"] if isinstance(row["same"], str) else "yes" if row["same"] else "NO"
        lines.append(f"| {name} | {same} | {row.get('said', '')} | {after} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
