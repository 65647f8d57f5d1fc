"""Which code runs: the commit, and whether the work tree differs from it in what decides a result."""

import datetime

from tasks.core import programs

# a lock or report that the run itself has just written makes no work tree dirty
DECIDING = ("flows", "tasks", "model", "params.yaml", "dvc.yaml", "requirements.lock")


def commit() -> str:
    """Empty where this is no repository."""
    return programs.git("rev-parse", "HEAD") or ""


def date(commit: str) -> datetime.datetime:
    """When a commit was made."""
    return datetime.datetime.fromisoformat(programs.git("show", "-s", "--format=%cI", commit) or "")


def changed() -> list[str]:
    """What decides a result and differs from the commit: as `git status` tells it, "M tasks/train/stage.py" say."""
    lines = (programs.git("status", "--porcelain", "--", *DECIDING) or "").splitlines()
    return [line.strip() for line in lines]
