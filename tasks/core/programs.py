"""Other programs: the one module that starts any. Arguments are lists; nothing passes through a shell."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.core.errors import UserError


def git(*arguments: str, folder: Path | None = None) -> str | None:
    """What git prints, None where this is no repository or there is no git."""
    try:
        return demand_git(*arguments, folder=folder)
    except UserError:
        return None


def demand_git(*arguments: str, folder: Path | None = None) -> str:
    """What git prints.  Errors: UserError with what it says where it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=600)
    except FileNotFoundError:
        raise UserError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        raise UserError(f"git {' '.join(arguments)}: {' '.join(error.stderr.split())}") from error
    return done.stdout.strip()


def git_contents(names: Sequence[str]) -> list[bytes | None]:
    """Contents of the repository's objects, by hash or as `<commit>:<path>`, in one call; None for what is none."""
    asked = "".join(f"{name}\n" for name in names).encode()
    try:
        done = subprocess.run(["git", "cat-file", "--batch"], input=asked, capture_output=True, check=True, timeout=600)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise UserError("git cannot read its objects here; run in a git repository, from its root") from error
    found: list[bytes | None] = []
    rest = memoryview(done.stdout)
    for _ in names:
        end = bytes(rest[:1024]).index(b"\n")  # "<hash> <kind> <size>", or "<name> missing"
        head = bytes(rest[:end]).decode().rsplit(" ", 2)
        size = int(head[-1]) if head[-1].isdigit() else None
        start = end + 1
        found.append(None if size is None else bytes(rest[start : start + size]))
        rest = rest[start:] if size is None else rest[start + size + 1 :]
    return found


def dvc(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    keep_open: Sequence[int] = (),
) -> None:
    """Run a dvc command that talks to the person at the terminal; it inherits the files `keep_open`.

    Errors: UserError where it fails.
    """
    _talk("dvc", arguments, variables, folder, keep_open)


def train(*, variables: Mapping[str, str], folder: Path) -> None:
    """Stage `train` in another project folder, by itself.  Errors: UserError where it fails."""
    root = str(Path(__file__).parents[2])
    _talk("tasks.train", (), {"PYTHONPATH": root, **variables}, folder, ())


def _talk(
    module: str,
    arguments: Sequence[str],
    variables: Mapping[str, str] | None,
    folder: Path | None,
    keep_open: Sequence[int],
) -> None:
    command, environment = [sys.executable, "-m", module, *arguments], {**os.environ, **(variables or {})}
    try:
        subprocess.run(command, check=True, env=environment, cwd=folder, pass_fds=keep_open)
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"{module} {' '.join(arguments)} ended with status {error.returncode}; its lines above say why"
        ) from error


def run(arguments: list[str], whose: str, timeout_s: float = 600) -> None:
    """A program that the user named.  Errors: UserError where it is missing, fails, or does not end in time."""
    try:
        subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=timeout_s)
    except FileNotFoundError as error:
        raise UserError(f"{whose}: there is no program {arguments[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{whose}: {arguments[0]} did not end within {timeout_s:.0f} s") from error
    except subprocess.CalledProcessError as error:
        said = " ".join(str(error.stderr).split())[-200:]
        raise UserError(f"{whose}: {arguments[0]} ended with status {error.returncode}: {said}") from error


def ask_dvc(*arguments: str, folder: Path | None = None) -> str:
    """What a dvc command prints.  Errors: UserError with its last line where it fails."""
    command = [sys.executable, "-m", "dvc", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"dvc {' '.join(arguments)}: {said[-1]}") from error
    return done.stdout
