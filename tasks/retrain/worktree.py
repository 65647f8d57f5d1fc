"""The work tree that retraining has to itself: .cache/retrain, at a commit, with the repository's own DVC cache.

Nobody's edits are in it and it is in nobody's way. What a corpus is made of, and git does not hold, is linked into it.
"""

import configparser
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.params import Params
from tasks.core import paths, programs
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.provenance import dvc_cache

BRANCHES = "retrain"
LOCAL = Path(".dvc/config.local")


def place() -> Path:
    return paths.cache().resolve() / "retrain"


@contextmanager
def alone() -> Iterator[int]:
    """One retraining at a time. Yields the file that is locked: who inherits it holds the lock too, so that a `dvc
    repro` which outlives its parent is waited for, not trampled on. The kernel lets go when the last of them dies.

    Errors: UserError that names the process, where another one is at it.
    """
    path = paths.cache() / "retrain.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"another retraining runs (process {file.read().strip() or 'unknown'}, or one it started)"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def base() -> str:
    """The commit to begin with: HEAD, or the newest retraining that was built on it."""
    head = programs.demand_git("rev-parse", "HEAD")
    newest = programs.demand_git(
        "for-each-ref", "--contains", head, "--sort=-committerdate", "--format=%(objectname)",
        f"refs/heads/{BRANCHES}",
    )  # fmt: skip
    return newest.split("\n")[0] or head


def prepare(p: Params) -> Path:
    """The work tree at `base`, whatever an earlier run left in it.  Errors: UserError where git fails."""
    if programs.git("status", "--porcelain", "--", str(paths.WITHDRAWALS)):
        raise UserError(f"{paths.WITHDRAWALS} has rows that are not committed: commit them, then retrain")
    folder, commit = place(), base()
    if (folder / ".git").is_file() and programs.git("rev-parse", "HEAD", folder=folder) is not None:
        _unlink_corpus(folder, p)
        programs.demand_git("checkout", "-q", "--force", "--detach", commit, folder=folder)
        programs.demand_git("clean", "-q", "-f", "-d", folder=folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        programs.demand_git("worktree", "prune")
        programs.demand_git("worktree", "add", "-q", "--force", "--detach", str(folder), commit)
    _share_settings(folder)
    _link_corpus(folder, p)
    return folder


def commit(folder: Path, message: str, day: str) -> str:
    """Commit what retraining made; return the branch, a new one unless nothing changed."""
    programs.demand_git("add", "--", "dvc.lock", str(paths.REPORTS), folder=folder)
    if programs.git("diff", "--cached", "--quiet", folder=folder) is None:
        author = [] if programs.git("config", "user.email", folder=folder) else AUTHOR
        programs.demand_git(*author, "commit", "-q", "--no-verify", "-m", message, folder=folder)
    listed = programs.demand_git("branch", "--format=%(refname:short)", "--list", f"{BRANCHES}/*", folder=folder)
    here = programs.demand_git(
        "branch", "--format=%(refname:short)", "--list", f"{BRANCHES}/*", "--points-at", "HEAD", folder=folder
    )
    if here:
        return here.split("\n")[0]
    number = 1
    while f"{BRANCHES}/{day}-{number}" in listed.split("\n"):
        number += 1
    programs.demand_git("branch", f"{BRANCHES}/{day}-{number}", folder=folder)
    return f"{BRANCHES}/{day}-{number}"


AUTHOR = ["-c", "user.name=retrain", "-c", "user.email=retrain@localhost"]


def _share_settings(folder: Path) -> None:
    """The repository's own settings and DVC cache; links, not copies, of what is in it where the disk can."""
    settings = configparser.RawConfigParser()
    settings.read(paths.main_repository() / LOCAL)
    if not settings.has_section("cache"):
        settings.add_section("cache")
    settings["cache"]["dir"] = str(dvc_cache.folder())
    settings["cache"].setdefault("type", "reflink,hardlink,copy")
    with all_or_nothing(folder / LOCAL) as partial:
        partial.touch(0o600)  # it may hold a remote's password
        with partial.open("w") as file:
            settings.write(file)


def _corpus(p: Params) -> list[Path]:
    named = [Path(p.corpus.folder), Path(p.corpus.lrs2.folder), paths.AGREEMENT]
    return [path for path in named if not path.is_absolute()]


def _link_corpus(folder: Path, p: Params) -> None:
    for path in _corpus(p):
        source, link = paths.main_repository() / path, folder / path
        if not source.exists():
            continue
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)  # the empty folder that git makes for .gitkeep
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source.resolve())


def _unlink_corpus(folder: Path, p: Params) -> None:
    """Before git touches the work tree: through a link it would write into the corpus."""
    for link in [*(folder / "data").glob("*"), *(folder / path for path in _corpus(p))]:
        if link.is_symlink():
            link.unlink()
