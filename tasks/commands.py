"""Other programs: the one module that starts any. Arguments are lists; nothing passes through a shell."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tasks.stage import UserError


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


def dvc(*arguments: str, variables: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
    """Run a dvc command that talks to the person at the terminal.  Errors: UserError where it fails."""
    command, environment = [sys.executable, "-m", "dvc", *arguments], {**os.environ, **(variables or {})}
    try:
        subprocess.run(command, check=True, env=environment, cwd=folder)
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"dvc {' '.join(arguments)} ended with status {error.returncode}; its lines above say why"
        ) from error


def ask_dvc(*arguments: str, folder: Path | None = None) -> str:
    """What a dvc command prints.  Errors: UserError with its last line where it fails."""
    command = [sys.executable, "-m", "dvc", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"dvc {' '.join(arguments)}: {said[-1]}") from error
    return done.stdout
