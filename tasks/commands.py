"""Other programs: the one module that starts any. Arguments are lists; nothing passes through a shell."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from tasks.stage import UserError


def git(*arguments: str) -> str | None:
    """What git prints, None where this is no repository or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=60)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
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


def dvc(*arguments: str, variables: Mapping[str, str] | None = None) -> None:
    """Run a dvc command that talks to the person at the terminal.  Errors: UserError where it fails."""
    try:
        subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, env={**os.environ, **(variables or {})})
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"dvc {' '.join(arguments)} ended with status {error.returncode}; its lines above say why"
        ) from error
