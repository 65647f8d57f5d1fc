"""The only module that starts other programs. Arguments are lists; nothing goes through a shell."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.core.errors import UserError

STOP_WITHIN_S = 60  # of a training that was asked to stop and writes its state first


def git(*arguments: str, folder: Path | None = None) -> str | None:
    """The output of git; None if it fails, is not installed, or this is not a repository."""
    try:
        return demand_git(*arguments, folder=folder)
    except UserError:
        return None


def demand_git(*arguments: str, folder: Path | None = None) -> str:
    """The output of git.  Errors: UserError with git's own message."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, errors="replace", check=True, timeout=600
        )
    except FileNotFoundError:
        raise UserError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        raise UserError(f"git {' '.join(arguments)}: {' '.join(error.stderr.split())}") from error
    return done.stdout.strip()


def git_contents(names: Sequence[str]) -> list[bytes | None]:
    """Contents of git objects, by hash or as `<commit>:<path>`, in one call; None for an object that does not exist."""
    request = "".join(f"{name}\n" for name in names).encode()
    try:
        done = subprocess.run(
            ["git", "cat-file", "--batch"], input=request, capture_output=True, check=True, timeout=600
        )
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise UserError("git cannot read its objects here; run in a git repository, from its root") from error
    contents: list[bytes | None] = []
    rest = memoryview(done.stdout)
    for _ in names:
        end = bytes(rest[:1024]).index(b"\n")  # "<hash> <kind> <size>", or "<name> missing"
        head = bytes(rest[:end]).decode().rsplit(" ", 2)
        size = int(head[-1]) if head[-1].isdecimal() else None
        start = end + 1
        contents.append(None if size is None else bytes(rest[start : start + size]))
        rest = rest[start:] if size is None else rest[start + size + 1 :]
    return contents


def dvc(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    keep_open: Sequence[int] = (),
) -> None:
    """Run a dvc command whose output goes to the terminal; it inherits the open files `keep_open`.

    Errors: UserError if it fails.
    """
    _run_module("dvc", arguments, variables, folder, keep_open)


def train(*, variables: Mapping[str, str], folder: Path) -> None:
    """Run stage `train` alone in another project folder.  Errors: UserError if it fails."""
    root = str(Path(__file__).parents[2])
    _run_module("tasks.train", (), {"PYTHONPATH": root, **variables}, folder, ())


def _run_module(
    module: str,
    arguments: Sequence[str],
    variables: Mapping[str, str] | None,
    folder: Path | None,
    keep_open: Sequence[int],
) -> None:
    command = [sys.executable, "-m", module, *arguments]
    # the commands of stages are of this environment, though nobody activated it
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": search, **(variables or {})}
    with subprocess.Popen(command, env=environment, cwd=folder, pass_fds=keep_open) as running:
        try:
            status = running.wait()
        except KeyboardInterrupt:  # it has reached the children too
            running.kill()
            raise
        except BaseException:  # time is up, or this process was asked to stop
            stop_below(running.pid)
            raise
    if status:
        raise UserError(f"{module} {' '.join(arguments)} ended with status {status}; see its output above")


def stop_below(pid: int) -> None:
    """Ask a process and all that it started to stop, as a preemptible machine does; wait, then end what is left."""
    import psutil  # type: ignore[import-untyped]  # training alone does not need it

    top = psutil.Process(pid)
    asked: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        while new := [one for one in (top, *top.children(recursive=True)) if one.pid not in asked]:
            for one in new:
                asked[one.pid] = one
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.suspend()  # so that it starts nothing while the others are looked for
    for one in asked.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
            one.resume()
    _, left = psutil.wait_procs(asked.values(), timeout=STOP_WITHIN_S)
    for one in left:
        one.kill()


def run(arguments: list[str], setting: str, timeout_s: float = 600) -> None:
    """Run a program that the user named.  Errors: UserError if it is missing, fails, or does not end in time."""
    try:
        subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=timeout_s)
    except FileNotFoundError as error:
        raise UserError(f"{setting}: there is no program {arguments[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{setting}: {arguments[0]} did not end within {timeout_s:.0f} s") from error
    except subprocess.CalledProcessError as error:
        message = " ".join(str(error.stderr).split())[-200:]
        raise UserError(f"{setting}: {arguments[0]} ended with status {error.returncode}: {message}") from error


def ask_dvc(*arguments: str, folder: Path | None = None) -> str:
    """The output of a dvc command.  Errors: UserError with its last line of error output."""
    command = [sys.executable, "-m", "dvc", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"dvc {' '.join(arguments)}: {lines[-1]}") from error
    return done.stdout
