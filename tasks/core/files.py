"""Writing files all-or-nothing and one process at a time, hashing them, and demanding that they exist."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.core import names
from tasks.core.errors import UserError


@contextmanager
def all_or_nothing(out: Path) -> Iterator[Path]:
    """Yield a path beside `out` (a file or a folder) that is moved to `out` only if the block succeeds."""
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{names.shortened(out.name)}.", dir=out.parent))
    partial = scratch / out.name
    try:
        yield partial
        if out.is_dir() and not out.is_symlink():
            shutil.rmtree(out)
        os.replace(partial, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_atomic(path: Path, text: str) -> None:
    with all_or_nothing(path) as partial:
        partial.write_text(text)


@contextmanager
def locked(path: Path, busy: str) -> Iterator[int]:
    """Hold the lock file `path`, made where there is none; yields its descriptor.

    Child processes that inherit it hold the lock too. The kernel releases it when the last of them ends.
    Errors: UserError `busy`, and the process that holds it
    """
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise UserError(f"{busy} (process {holder}, or one it started)") from None
            if not is_at(file.fileno(), path):  # who held it has deleted it
                continue
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield file.fileno()
            return


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def demand_file(path: Path | str, advice: str = "", option: str = "") -> Path:
    """The path, if it names a file.

    Errors: UserError "<option> <path>: no such file; <advice>", or the same for a folder.
    """
    path = Path(path)
    try:
        problem = "" if path.is_file() else "a folder, not a file" if path.is_dir() else "no such file"
    except OSError as error:  # a name that is too long, a loop of links, a folder without permission
        problem = str(error.strerror)
    if problem:
        raise UserError(f"{option} {path}: {problem}; {advice}".strip(" ;"))
    return path


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_file(path: Path) -> str:
    """The hash that dvc.lock has for a file, so that MLflow and dvc.lock can be matched."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def md5_bytes(content: bytes) -> str:
    """`md5_file` of bytes in memory."""
    return hashlib.md5(content).hexdigest()
