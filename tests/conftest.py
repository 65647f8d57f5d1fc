"""A workspace with the tiny corpus, built once by the real stages (without Prefect), and copied for who changes it."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock

from tasks.acquire import stage as acquire
from tasks.core import config, paths
from tasks.expert import stage as expert
from tasks.inside import stage as inside_stage
from tasks.motion import stage as motion
from tasks.preprocess import stage as preprocess
from tasks.storage import index, shards, unit_cache
from tasks.tracking import runs as tracking
from tasks.train import stage as train

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared/real"

os.environ.update(LIPGAN_TRACKING="off", DVC_NO_ANALYTICS="1", DO_NOT_TRACK="1", MLFLOW_DISABLE_TELEMETRY="true")
# with a process a core (pytest -n), a second thread would wait for a core and spin
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
os.environ["LIPGAN_CONFIG"] = tempfile.mkdtemp()  # the key that marks videos: never the one in the user's home

TINY = {
    "model.generator": "lipgan",
    "corpus.size": "tiny",
    "corpus.num_shards": {"train": 2, "val": 1, "test": 1, "hard": 1, "pretrain": 1},
    "faces.min_frames": 12,
    "expert.num_steps": 4,
    "expert.clips_per_batch": 2,
    "expert.runs_per_clip": 3,
    "expert.warmup_steps": 1,
    "expert.val_runs": 6,
    "expert.log_every": 2,
    "expert.val_every": 2,
    "expert.checkpoint_every": 2,
    "expert.precision": "fp32",
    "motion.num_steps": 4,
    "motion.width": 16,
    "motion.num_components": 3,
    "motion.clips_per_batch": 4,
    "motion.num_frames": 24,
    "motion.warmup_steps": 1,
    "motion.log_every": 2,
    "motion.val_every": 4,
    "motion.checkpoint_every": 2,
    "inside.num_steps": 4,
    "inside.width": 8,
    "inside.quality_width": 0.125,
    "inside.num_pairs": 24,
    "inside.batch_size": 4,
    "inside.warmup_steps": 1,
    "inside.precision": "fp32",
    "inside.log_every": 2,
    "inside.val_every": 4,
    "inside.checkpoint_every": 2,
    "train.num_runs": 0,
    "train.audio_from_expert": "never",
    "train.terms.expert.weight": 0.0,
    "train.terms.perceptual.weight": 0.0,
    "train.num_steps": 6,
    "train.batch_size": 4,
    "train.warmup_steps": 2,
    "train.windows_per_clip": 8,
    "train.log_every": 2,
    "train.val_every": 4,
    "train.val_samples": 8,
    "train.checkpoint_every": 2,
    "train.precision": "fp32",
    "evaluate.num_pairs": 20,
    "evaluate.num_bootstrap": 50,
    "evaluate.strips": 1,
    "evaluate.noise_clips": 1,
    "evaluate.noise_snr_db": [0.0],
}


def params_text(changes: dict) -> str:
    """params.yaml of the repository with some values changed: {"train.lr": 0.1}."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name, value in changes.items():
        *sections, last = name.split(".")
        place = values
        for section in sections:
            place = place[section]
        place[last] = value
    return yaml.safe_dump(values)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty project folder to run stages in; its unit cache is its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / ".cache"))
    (tmp_path / "params.yaml").write_text(params_text(TINY))
    return tmp_path


@pytest.fixture(autouse=True)
def environment_stays():
    """What a test sets, the next one does not see: MLflow, told of a store, writes the address into os.environ."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads of torch that spin for one another stand still when something else runs beside the tests."""
    torch.set_num_threads(1)


def run_acquire(p):
    planned, refused = acquire.plan(p)
    for unit in planned:
        unit_cache.make(acquire.build, unit)
    return acquire.collect(planned, refused, p)


def run_preprocess(p):
    planned, refused = preprocess.plan(p)
    for unit in planned:
        unit_cache.make(preprocess.build, unit)
    return preprocess.collect(planned, refused)


@contextmanager
def inside(folder):
    """Current directory and unit cache in a project folder, for fixtures that outlive a test."""
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPGAN_CACHE", str(folder / ".cache"))
        yield


def built_once(tmp_path_factory, name, build):
    """The folder `name`, filled by `build(folder)` in the first of the test processes that asks for it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        if not (done := Path(f"{folder}.done")).exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed while it built
            folder.mkdir()
            build(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """The tiny corpus after acquire and preprocess. Read it, do not write to it."""

    def build(folder):
        (folder / "params.yaml").write_text(params_text(TINY))
        with inside(folder):
            p = config.load(Path("params.yaml"))
            run_acquire(p)
            run_preprocess(p)

    return built_once(tmp_path_factory, "tiny", build)


@pytest.fixture
def tiny(tiny_folder, tmp_path, monkeypatch):
    """A copy of the tiny project folder, current directory and unit cache in it."""
    shutil.copytree(tiny_folder, tmp_path / "tiny", symlinks=True)
    monkeypatch.chdir(tmp_path / "tiny")
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / "tiny/.cache"))
    return tmp_path / "tiny"


@pytest.fixture(scope="session")
def trained_folder(tiny_folder, tmp_path_factory):
    def build(folder):
        shutil.copytree(tiny_folder, folder, symlinks=True, dirs_exist_ok=True)
        with inside(folder):
            p = config.load(Path("params.yaml"))
            expert.run(p)
            motion.run(p)
            inside_stage.run(p)
            train.run(p)
            row = index.kept(index.read(paths.CLIPS), "test")[0]
            Path("face.mp4").write_bytes(shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"])

    return built_once(tmp_path_factory, "trained", build)


@pytest.fixture
def trained(trained_folder, tmp_path, monkeypatch):
    shutil.copytree(trained_folder, tmp_path / "trained", symlinks=True)
    monkeypatch.chdir(tmp_path / "trained")
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / "trained/.cache"))
    return tmp_path / "trained"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A store made once: its migrations take seconds."""

    def build(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LIPGAN_TRACKING", "mlflow")
            patch.chdir(folder)
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            tracking.connect()
            os.environ.pop("MLFLOW_TRACKING_URI", None)

    return built_once(tmp_path_factory, "mlflow", build) / "mlflow.db"


def git(*arguments):
    own = ["-c", "user.name=t", "-c", "user.email=t@t"]
    return subprocess.run(["git", *own, *arguments], check=True, capture_output=True, text=True).stdout


def dvc(*arguments):
    subprocess.run([sys.executable, "-m", "dvc", "-q", *arguments], check=True, timeout=300)


def commit(message):
    git("add", "-A")
    git("commit", "-qm", message)


def without_evaluation():
    """dvc.yaml of the repository up to the checkpoint: evaluating takes longer than this test may."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    del pipeline["stages"]["evaluate"], pipeline["plots"]
    return yaml.safe_dump(pipeline, sort_keys=False)


@pytest.fixture(scope="session")
def committed_folder(tiny_folder, tmp_path_factory):
    """Trained under MLflow from a clean commit; what came of it is in DVC's cache and, by hash, in a second commit."""

    def build(folder):
        shutil.copytree(tiny_folder, folder, symlinks=True, dirs_exist_ok=True)
        for room in ("flows", "tasks", "model", "released"):
            shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
        for name in (".gitignore", ".dvcignore", "requirements.lock", "withdrawals.csv", "splits.csv"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "data/videos").mkdir()
        (folder / "dvc.yaml").write_text(without_evaluation())
        with inside(folder), pytest.MonkeyPatch.context() as patch:
            patch.setenv("LIPGAN_TRACKING", "mlflow")
            git("init", "-q")
            dvc("init")
            commit("code")
            p = config.load(Path("params.yaml"))
            expert.run(p)
            motion.run(p)
            inside_stage.run(p)
            train.run(p)
            dvc("commit", "-f")
            commit("checkpoint")

    return built_once(tmp_path_factory, "committed", build)


@pytest.fixture
def committed(committed_folder, tmp_path, monkeypatch):
    folder = shutil.copytree(committed_folder, tmp_path / "p", symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LIPGAN_CACHE", str(folder / ".cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for file in folder.rglob("*"):
        if ".git" not in file.parts and file.is_file():
            file.chmod(0o644)
    return folder
