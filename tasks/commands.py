"""Other programs: the one module that starts any. Arguments are lists; nothing passes through a shell."""

import os
import subprocess
import sys
from collections.abc import Mapping

from tasks.stage import UserError


def git(*arguments: str) -> str | None:
    """What git prints, None where this is no repository or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=60)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def dvc(*arguments: str, variables: Mapping[str, str] | None = None) -> None:
    """Run a dvc command that talks to the person at the terminal.  Errors: UserError where it fails."""
    try:
        subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, env={**os.environ, **(variables or {})})
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"dvc {' '.join(arguments)} ended with status {error.returncode}; its lines above say why"
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
