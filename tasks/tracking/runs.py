"""Tracking of runs: in MLflow, or in plain files without it. Checkpoints are never stored there.

LIPGAN_TRACKING     mlflow (default) | jsonl: .cache/tracking/<run>/ | off
MLFLOW_TRACKING_URI default: sqlite, mlflow.db in the main repository, pictures in mlartifacts/ next to it
"""

import functools
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tasks.core import config, files, paths, servers
from tasks.core.errors import UserError
from tasks.provenance import agreement, git_revision
from tasks.storage import index
from tasks.tracking import naming, pipeline
from tasks.tracking.jsonl import Jsonl

EXPERIMENT = "lipsync"


class Tracker(Protocol):
    """Destination of a stage's figures and pictures. `run_id` identifies the run when it is resumed."""

    run_id: str

    def metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def picture(self, name: str, picture_HW3: np.ndarray, step: int) -> None: ...
    def file(self, path: Path, folder: str) -> None: ...
    def text(self, text: str, name: str) -> None: ...
    def tag(self, values: Mapping[str, str]) -> None: ...
    def conclude(self, note: str, headline: Mapping[str, float], checkpoint_md5: str) -> None: ...


@contextmanager
def run(stage: str, params: Any, run_id: str | None = None) -> Iterator[Tracker]:
    """A run of `stage`, or the resumed run `run_id`. Its tags contain the hashes of parameters and inputs."""
    kind = os.environ.get("LIPGAN_TRACKING", "mlflow")
    if kind == "off":
        yield Nowhere()
    elif kind == "jsonl":
        folder = paths.cache() / "tracking" / (run_id or f"{stage}-{config.digest(params)[:8]}")
        about = {
            "name": naming.run_name(stage, params),
            "params": config.flat(config.as_dict(params)),
            "tags": tags(stage),
        }
        yield Jsonl(folder, about)
    elif kind == "mlflow":
        yield from _mlflow(stage, params, run_id)
    else:
        raise UserError(f"LIPGAN_TRACKING must be mlflow, jsonl or off, got {kind!r}")


class Nowhere:
    run_id = ""

    def metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def picture(self, name: str, picture_HW3: np.ndarray, step: int) -> None: ...
    def file(self, path: Path, folder: str) -> None: ...
    def text(self, text: str, name: str) -> None: ...
    def tag(self, values: Mapping[str, str]) -> None: ...
    def conclude(self, note: str, headline: Mapping[str, float], checkpoint_md5: str) -> None: ...


class Mlflow:
    """Errors: UserError if the store stops answering; the training resumes from its last state"""

    def __init__(self, module: Any, run_id: str, stage: str, pipeline_id: str) -> None:
        self._mlflow, self.run_id, self._stage, self._pipeline_id = module, run_id, stage, pipeline_id

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        with usable():
            self._mlflow.log_metrics(naming.grouped(self._stage, values), step=step)

    def picture(self, name: str, picture_HW3: np.ndarray, step: int) -> None:
        with usable():
            self._mlflow.log_image(picture_HW3, key=name, step=step)

    def file(self, path: Path, folder: str) -> None:
        with usable():
            self._mlflow.log_artifact(str(path), artifact_path=folder)

    def text(self, text: str, name: str) -> None:
        with usable():
            self._mlflow.log_text(text, name)

    def tag(self, values: Mapping[str, str]) -> None:
        with usable():
            self._mlflow.set_tags(dict(values))

    def conclude(self, note: str, headline: Mapping[str, float], checkpoint_md5: str) -> None:
        """The description of this run, of the pipeline's, which also gets the figures, and of the training."""
        said = {naming.NOTE: note, naming.CHECKPOINT: checkpoint_md5}
        self.tag(said)
        with usable():
            client = self._mlflow.MlflowClient()
            for run_id in {self._pipeline_id, *_trainings_of(client, checkpoint_md5)}:
                for name, value in said.items():
                    client.set_tag(run_id, name, value)
            for metric, figure in naming.grouped(self._stage, headline).items():
                client.log_metric(self._pipeline_id, metric, figure)


def _trainings_of(client: Any, checkpoint_md5: str) -> list[str]:
    query = f"tags.stage = 'train' and tags.`{naming.CHECKPOINT}` = '{checkpoint_md5}'"
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return [run.info.run_id for run in client.search_runs([experiment.experiment_id], query)]


def page() -> str:
    """Where `make mlflow` shows the runs."""
    return naming.page(connect().get_experiment_by_name(EXPERIMENT).experiment_id if uses_mlflow() else "1")


def tag_run(run_id: str, values: Mapping[str, str]) -> None:
    """Tags of a run that has ended; nothing without tracking."""
    if not run_id:
        return
    if not uses_mlflow():
        Jsonl(paths.cache() / "tracking" / run_id).tag(values)
        return
    with usable():
        client = connect().MlflowClient()
        for name, value in values.items():
            client.set_tag(run_id, name, value)


def store() -> str:
    """The address of the MLflow store: absolute, so that a worktree or `dvc exp run --temp` writes to it."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.main_repository() / 'mlflow.db'}"


def tags_of(run_id: str) -> dict[str, str] | None:
    """The tags of a run, which contain the md5 of dvc.lock; None if the store has no such run."""
    try:
        return dict(_quiet_mlflow().get_run(run_id).data.tags)
    except _quiet_mlflow().exceptions.MlflowException:
        return None


def has_store() -> bool:
    """Whether there is a store: connecting to a missing sqlite file would create it."""
    return not store().startswith("sqlite:///") or Path(store().removeprefix("sqlite:///")).is_file()


def demand_answer() -> None:
    """Without loading MLflow.  Errors: UserError if it is a server that does not answer"""
    if uses_mlflow() and (address := store()).startswith(("http://", "https://")):
        _demand_answer(address)


def demand_server() -> None:
    """Errors: UserError if MLflow is used, and its store is off, or an mlflow.db of another version."""
    if uses_mlflow() and (has_store() or not store().startswith("sqlite:///")):
        connect()


def connect() -> Any:
    """MLflow, connected to the store and the experiment, which is created if missing.

    Errors: UserError if the server does not answer, or the store cannot be used
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # an unreachable server is noticed in seconds
    # read before set_tracking_uri, which sets the variable
    place = None if os.environ.get("MLFLOW_TRACKING_URI") else (paths.main_repository() / "mlartifacts").as_uri()
    mlflow = _quiet_mlflow()
    with usable():
        known = mlflow.get_experiment_by_name(EXPERIMENT)
        if known is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=place, tags=naming.EXPERIMENT_TAGS)
        mlflow.set_experiment(EXPERIMENT)
        if known and not naming.EXPERIMENT_TAGS.items() <= known.tags.items():  # made by an older version
            mlflow.set_experiment_tags(naming.EXPERIMENT_TAGS)
    return mlflow


@contextmanager
def usable() -> Iterator[None]:
    """Errors of MLflow's store inside the block become UserErrors with what to do."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        line = " ".join(str(error).split())
        if "out-of-date database schema" in line or "Can't locate revision" in line:
            file = store().removeprefix("sqlite:///")
            raise UserError(
                f"{file} is of another version of MLflow; keep a copy of it, then run "
                f"`python -m mlflow db upgrade {store()}`"
            ) from None
        raise UserError(f"MLflow at {store()} cannot be used: {line[:200]}") from error


def uses_mlflow() -> bool:
    return os.environ.get("LIPGAN_TRACKING", "mlflow") == "mlflow"


def demand() -> Any:
    """As `connect`.  Errors: UserError if MLflow is off or its store does not answer"""
    if not uses_mlflow():
        raise UserError("LIPGAN_TRACKING is not mlflow: there is no registry of models; unset it")
    return connect()


def delete_files(artifacts: str, folders: Sequence[str]) -> int:
    """Delete folders of a run's files; returns how many existed."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(artifacts)
    existing = {file.path for file in repository.list_artifacts()} & set(folders)
    for folder in sorted(existing):
        repository.delete_artifacts(folder)
    return len(existing)


def _mlflow(stage: str, params: Any, run_id: str | None) -> Iterator[Tracker]:
    mlflow, about = connect(), tags(stage)
    if run_id and not _exists(mlflow, run_id):
        run_id = None  # its store is missing: the training continues in a new run
    experiment_id = mlflow.get_experiment_by_name(EXPERIMENT).experiment_id
    name = None if run_id else naming.run_name(stage, params)
    # nobody knows the index of the clips yet: `preprocess` gives the run its parent
    whole = nullcontext("") if stage == "acquire" else pipeline.running(mlflow, experiment_id, params, about)
    with (
        whole as pipeline_id,
        mlflow.start_run(run_id=run_id, run_name=name, log_system_metrics=False) as active,
    ):
        mlflow.set_tags(about | ({pipeline.PARENT: pipeline_id} if pipeline_id else {}))
        if stage == "preprocess":
            pipeline.adopt(mlflow, experiment_id, pipeline_id, about[pipeline.CLIPS])
        if not run_id:
            mlflow.log_params(config.flat(config.as_dict(params)))
            if stage != "acquire":
                _log_input(mlflow)
        yield Mlflow(mlflow, active.info.run_id, stage, pipeline_id)


def _quiet_mlflow() -> Any:
    """MLflow, connected to the store."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted")
    if (address := store()).startswith(("http://", "https://")):
        _demand_answer(address)
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # the import sets it to INFO
    mlflow.set_tracking_uri(address)
    return mlflow


@functools.cache
def _demand_answer(address: str) -> None:
    """Once a process: MLflow itself tries for half a minute, and ends in a traceback."""
    servers.demand("MLFLOW_TRACKING_URI", address, "/health", "set LIPGAN_TRACKING=jsonl to track in files")


def _exists(mlflow: Any, run_id: str) -> bool:
    try:
        return mlflow.get_run(run_id).info.lifecycle_stage == "active"
    except mlflow.exceptions.MlflowException:
        return False


def tags(stage: str) -> dict[str, str]:
    """Links from a run to its code and data: hashes as in dvc.lock."""
    values = {
        "stage": stage,
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "git.commit": git_revision.commit(),
        "git.dirty": str(bool(git_revision.changed())).lower(),
        "python": sys.version.split()[0],
    }
    if stage in naming.OF_DATA and paths.CLIPS.is_file():
        values[pipeline.CLIPS] = files.md5_file(paths.CLIPS)
    if paths.INDEX.is_file() and stage != "acquire":  # its index is that of the run before
        values["data.index.md5"] = files.md5_file(paths.INDEX)
        values["licence"] = "; ".join(index.values(paths.INDEX, "licence"))
        about = agreement.of(index.values(paths.INDEX, "corpus"))
        values |= {f"agreement.{name}": value for name, value in about.items()}
    if paths.PARAMS.is_file():
        values["params.sha256"] = config.digest(config.load(paths.PARAMS))
    return values


def _log_input(mlflow: Any) -> None:
    if paths.INDEX.is_file():
        source = mlflow.data.dataset_source_registry.resolve_dataset_source(paths.INDEX.resolve().as_uri())
        data = mlflow.data.meta_dataset.MetaDataset(source, name="lipsync-index", digest=files.md5_file(paths.INDEX))
        mlflow.log_input(data)
