"""Which code is running: the commit, and whether files that decide a result differ from it."""

import datetime

from tasks.core import programs

# a lock or report that the run itself has just written does not make the work tree dirty
DECIDING = ("flows", "tasks", "model", "released", "params.yaml", "dvc.yaml", "requirements.lock", "code.json")


def commit() -> str:
    """The current commit; empty outside a repository."""
    return programs.git("rev-parse", "HEAD") or ""


def date(commit: str) -> datetime.datetime:
    """The date of a commit."""
    return datetime.datetime.fromisoformat(programs.git("show", "-s", "--format=%cI", commit) or "")


def changed() -> list[str]:
    """Files that decide a result and differ from the commit, as `git status` prints them: "M tasks/train/stage.py"."""
    lines = (programs.git("status", "--porcelain", "--", *DECIDING) or "").splitlines()
    return [line.strip() for line in lines]
