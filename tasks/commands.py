"""Other programs: the one module that starts any."""

import subprocess


def git(*arguments: str) -> str | None:
    """What git prints, None where this is no repository or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=60)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
