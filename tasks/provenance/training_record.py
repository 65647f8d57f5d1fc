"""The record of a training run, for audits: reports/train.json and the tags of its MLflow run.

The checkpoint's own JSON is an out of DVC: the same training gives the same bytes, so it cannot contain what differs
from run to run (commit, machine, time, run id). The record can: git tracks it, DVC does not hash it, and it names the
checkpoint by its md5. So from any commit: dvc.lock -> md5 of the checkpoint <- record -> MLflow run -> tags -> md5,
commit.
"""

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, cast

from model.params import Params
from tasks.core import config, files, paths
from tasks.core.files import write_atomic
from tasks.provenance import git_revision

LIBRARIES = ("torch", "numpy", "safetensors", "opencv-python-headless", "pyarrow")
# tag of MLflow <- key of the record's "data" and "outs"
TAGS = {"dvc.generator.md5": str(paths.GENERATOR), "dvc.discriminators.md5": str(paths.DISCRIMINATORS)}


class Session(TypedDict):
    """One of the sessions of a training that was interrupted and resumed."""

    from_step: int
    git_commit: str
    changed: list[str]


class Machine(TypedDict):
    system: str
    cpu: str
    cores: int | None
    gpu: str


class Record(TypedDict):
    outs: dict[str, str]  # path -> md5
    data: dict[str, str]
    params_sha256: str
    seed: int
    sessions: list[Session]
    mlflow_run: str
    finished: str
    python: str
    libraries: dict[str, str]
    machine: Machine


def session(step: int) -> Session:
    """One session of a training that may be interrupted and resumed: its first step, and its code."""
    return {"from_step": step, "git_commit": git_revision.commit(), "changed": git_revision.changed()}


def record_training(p: Params, sessions: Sequence[Session], run_id: str) -> dict[str, str]:
    """Write the record of the checkpoint in models/; return the tags for its MLflow run."""
    outs = [paths.GENERATOR, paths.DISCRIMINATORS]
    outs += [path.with_suffix(".json") for path in outs]
    md5s = {str(path): files.md5_file(path) for path in sorted(outs)}
    record: Record = {
        "outs": md5s,
        "data": {str(paths.INDEX): files.md5_file(paths.INDEX)},
        "params_sha256": config.digest(p),
        "seed": p.seed,
        "sessions": list(sessions),
        "mlflow_run": run_id,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES if _installed(name)},
        "machine": machine(),
    }
    write_atomic(paths.TRAIN_RECORD, json.dumps(record, indent=2, sort_keys=True) + "\n")
    return {tag: md5s[path] for tag, path in TAGS.items()}


def machine() -> Machine:
    """The kind of machine, without its name or its user's name."""
    import torch  # of those who only read records nobody needs it: a second and 150 MB of an audit

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": f"{platform.system()} {platform.machine()}", "cpu": _cpu(), "cores": cores, "gpu": gpu}


def _cpu() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.is_file() and sys.platform == "linux" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def load(text: str | bytes) -> Record:
    """Parse a record.  Errors: ValueError if the text is not one."""
    record = json.loads(text)
    if not isinstance(record, dict) or not {"outs", "data", "sessions", "mlflow_run"} <= record.keys():
        raise ValueError("not the record of a training")
    return cast(Record, record)
