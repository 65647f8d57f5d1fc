"""The work tree of retraining: .cache/retrain, a clean checkout, separate from the user's work tree.

It uses the repository's DVC cache, and the corpus, which git does not track, is linked into it.
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
def locked() -> Iterator[int]:
    """Lock for one retraining at a time; yields the locked file's descriptor.

    Child processes that inherit it hold the lock too, so that a `dvc repro` that outlives its parent keeps the next
    retraining out. The kernel releases the lock when the last of them ends.
    Errors: UserError that names the process, if another retraining runs
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
    """The commit to start from: HEAD, or the newest retraining built on it."""
    head = programs.demand_git("rev-parse", "HEAD")
    query = ("for-each-ref", "--contains", head, "--sort=-committerdate", "--format=%(objectname)")
    return programs.demand_git(*query, f"refs/heads/{BRANCHES}").split("\n")[0] or head


def prepare(p: Params) -> Path:
    """The work tree at `base`, whatever an earlier run left in it.  Errors: UserError if git fails"""
    for table in (str(paths.WITHDRAWALS), p.corpus.splits):
        if programs.git("status", "--porcelain", "--", table):
            raise UserError(f"{table} has rows that are not committed: commit them, then retrain")
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
    """Commit the results of a retraining; returns the branch, a new one unless nothing changed."""
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
    """Use the repository's settings and DVC cache, with links instead of copies if the disk supports them."""
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
            shutil.rmtree(link)  # the empty folder with .gitkeep
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source.resolve())


def _unlink_corpus(folder: Path, p: Params) -> None:
    """Remove the links before git changes the work tree: through a link it would write into the corpus."""
    for link in [*(folder / "data").glob("*"), *(folder / path for path in _corpus(p))]:
        if link.is_symlink():
            link.unlink()
