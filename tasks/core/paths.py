"""Every path of the project, relative to the folder that holds dvc.yaml (the folder the stages are run in)."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
RAW = Path("data/raw")
CLIPS = Path("data/clips.parquet")
AGREEMENT = Path("data/agreement.json")
PERSONS = Path("data/persons")
WITHDRAWALS = Path("withdrawals.csv")
SPLITS = Path("splits.csv")
TOMBSTONES = Path("tombstones")
SHARDS = Path("data/shards")
INDEX = Path("data/index.parquet")
EXPERT = Path("models/expert.safetensors")
MOTION = Path("models/motion.safetensors")
INSIDE = Path("models/inside.safetensors")
GENERATOR = Path("models/generator.safetensors")
DISCRIMINATORS = Path("models/discriminators.safetensors")
REPORTS = Path("reports")
PREPROCESS_REPORT = REPORTS / "preprocess.json"
TRAIN_RECORD = REPORTS / "train.json"
EXPERT_REPORT = REPORTS / "expert.json"
EXPERT_CURVE = REPORTS / "plots/expert.csv"
EXPERT_OFFSETS = REPORTS / "plots/expert-offsets.csv"
PREPROCESS_PAGE = REPORTS / "preprocess.html"
TRAIN_CURVE = REPORTS / "plots/train.csv"
EXPERIMENTS = REPORTS / "experiments"
METRICS = REPORTS / "metrics.json"
HEADLINE = REPORTS / "headline.json"
METRICS_BY_CLIP = REPORTS / "plots/clips.csv"
LAG_CURVE = REPORTS / "plots/lag.csv"
OFFSETS = REPORTS / "plots/offsets.csv"
STRIPS = REPORTS / "strips"
REPORT = REPORTS / "report.html"
LISTEN = REPORTS / "listen.html"
DUBBED = Path("out/demo.mp4")
DUBBED_LIPGAN = Path("out/demo-lipgan.mp4")
DUBBED_BOTH = Path("out/demo-both.mp4")
DEMO_FACE = Path("out/demo-face.mp4")


def shipped(name: str) -> Path:
    """A file that a project starts from, of the installed package or, beside this code, of the checkout."""
    root = Path(__file__).parents[2]
    packed = root / "released/project" / Path(name).name  # where setup.py puts it
    return packed if packed.is_file() else root / name


def main_repository() -> Path:
    """The repository whose caches and MLflow store are used: for a git worktree, the one it was created from."""
    here = Path.cwd()
    git = here / ".git"
    if git.is_file():  # a worktree: "gitdir: <main>/.git/worktrees/<name>"
        return Path(git.read_text().removeprefix("gitdir:").strip()).resolve().parents[2]
    return here


def cache() -> Path:
    """The folder of the unit cache and training states: outside DVC's outs, shared by a repository's worktrees."""
    return Path(os.environ.get("LIPGAN_CACHE") or main_repository() / ".cache")
