"""Watching a run: MLflow, or a plain file where MLflow is not installed. Never the bytes of a checkpoint.

LIPGAN_TRACKING     mlflow (default) | jsonl: .cache/tracking/<run>/ | off
MLFLOW_TRACKING_URI default: sqlite, mlflow.db in the main repository, pictures in mlartifacts/ beside it
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from tasks import config, paths, revision, units
from tasks.stage import UserError, write_atomic

EXPERIMENT = "lipsync"
ABOUT = "about.json"  # of a run without MLflow: name, params and tags as MLflow would have them


class Tracker(Protocol):
    """Where a stage's numbers and pictures go. `run_id` names the run to go on with later."""

    run_id: str

    def metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def picture(self, name: str, picture_HW3: np.ndarray, step: int) -> None: ...
    def file(self, path: Path, folder: str) -> None: ...


@contextmanager
def run(stage: str, params: Any, run_id: str | None = None) -> Iterator[Tracker]:
    """A run of `stage`, gone on with where `run_id` names one. Params and the hashes of its inputs become its tags."""
    kind = os.environ.get("LIPGAN_TRACKING", "mlflow")
    name = f"{stage}-{config.digest(params)[:8]}"
    if kind == "off":
        yield Nowhere()
    elif kind == "jsonl":
        folder = paths.cache() / "tracking" / (run_id or name)
        about = {"name": name, "params": config.flat(config.as_dict(params)), "tags": tags(stage)}
        write_atomic(folder / ABOUT, json.dumps(about, indent=2) + "\n")
        yield Jsonl(folder)
    elif kind == "mlflow":
        yield from _mlflow(stage, name, params, run_id)
    else:
        raise UserError(f"LIPGAN_TRACKING must be mlflow, jsonl or off, got {kind!r}")


class Nowhere:
    run_id = ""

    def metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def picture(self, name: str, picture_HW3: np.ndarray, step: int) -> None: ...
    def file(self, path: Path, folder: str) -> None: ...


class Jsonl:
    """metrics.jsonl, PNGs and about.json in a folder: to be looked at, or imported by tasks.tracking_import."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run_id = folder, folder.name
        folder.mkdir(parents=True, exist_ok=True)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def picture(self, name: str, picture_HW3: np.ndarray, step: int) -> None:
        cv2.imwrite(str(self.folder / f"{name}-{step:07d}.png"), picture_HW3[..., ::-1])

    def file(self, path: Path, folder: str) -> None:
        target = self.folder / folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


class Mlflow:
    def __init__(self, module: Any, run_id: str) -> None:
        self._mlflow, self.run_id = module, run_id

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics({name: float(value) for name, value in values.items()}, step=step)

    def picture(self, name: str, picture_HW3: np.ndarray, step: int) -> None:
        self._mlflow.log_image(picture_HW3, key=name, step=step)

    def file(self, path: Path, folder: str) -> None:
        self._mlflow.log_artifact(str(path), artifact_path=folder)


def store() -> str:
    """The address of the MLflow store: absolute, so that a worktree or `dvc exp run --temp` writes to the same one."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.main_repository() / 'mlflow.db'}"


def _mlflow(stage: str, name: str, params: Any, run_id: str | None) -> Iterator[Tracker]:
    mlflow = open_store()
    if run_id and not _exists(mlflow, run_id):
        run_id = None  # the store it was begun in is gone; the run goes on in a new one
    with mlflow.start_run(run_id=run_id, run_name=None if run_id else name, log_system_metrics=False) as active:
        mlflow.set_tags(tags(stage))
        if not run_id:
            mlflow.log_params(config.flat(config.as_dict(params)))
            _log_input(mlflow)
        yield Mlflow(mlflow, active.info.run_id)


def open_store() -> Any:
    """MLflow, with its store and our experiment chosen."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted")
    import mlflow

    # asked before set_tracking_uri, which sets the variable
    place = None if os.environ.get("MLFLOW_TRACKING_URI") else (paths.main_repository() / "mlartifacts").as_uri()
    mlflow.set_tracking_uri(store())
    if mlflow.get_experiment_by_name(EXPERIMENT) is None:
        mlflow.create_experiment(EXPERIMENT, artifact_location=place)
    mlflow.set_experiment(EXPERIMENT)
    return mlflow


def _exists(mlflow: Any, run_id: str) -> bool:
    try:
        return mlflow.get_run(run_id).info.lifecycle_stage == "active"
    except mlflow.exceptions.MlflowException:
        return False


def tags(stage: str) -> dict[str, str]:
    """What links a run to the code and the data: hashes as dvc.lock writes them."""
    found = {
        "stage": stage,
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "git.commit": revision.commit(),
        "git.dirty": str(bool(revision.changed())).lower(),
        "python": sys.version.split()[0],
    }
    if paths.INDEX.is_file():
        found["data.index.md5"] = units.md5_file(paths.INDEX)
    if paths.PARAMS.is_file():
        found["params.sha256"] = config.digest(config.load(paths.PARAMS))
    return found


def _log_input(mlflow: Any) -> None:
    if paths.INDEX.is_file():
        source = mlflow.data.dataset_source_registry.resolve_dataset_source(paths.INDEX.resolve().as_uri())
        data = mlflow.data.meta_dataset.MetaDataset(source, name="lipsync-index", digest=units.md5_file(paths.INDEX))
        mlflow.log_input(data)
