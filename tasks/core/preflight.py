"""What can be known before the work: folders that can be written, room on the disk, a temporary folder, a home.

Each check leaves nothing behind. flows/preflight.py puts them together for a command.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tasks.core.errors import UserError

LEAST_FREE_BYTES = 200 << 20  # on the disk of whatever is written
GB = 1e9


def demand_writable(folders: Iterable[Path]) -> None:
    """Errors: UserError for a folder that does not exist and cannot be made, or in which no file can be made."""
    for folder in folders:
        if why := unwritable(folder):
            raise UserError(f"{folder}: cannot be written: {why}")


def unwritable(folder: Path) -> str:
    """Why no file can be made in a folder, or in the nearest one above it that exists; "" if one can."""
    here = existing(folder)
    if not here.is_dir():
        return f"{here} is a file where a folder is wanted; move it away"
    try:
        with tempfile.TemporaryFile(dir=here, prefix=".preflight."):
            pass
    except OSError as error:
        return f"{here}: {error.strerror}; give this user the right to write there, or choose another folder"
    return ""


def existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists.  Errors: UserError for a name that none can have"""
    here = folder.absolute()
    while True:
        try:
            here.lstat()
            return here
        except (FileNotFoundError, NotADirectoryError):
            here = here.parent
        except PermissionError:
            return here
        except OSError as error:
            raise UserError(f"{folder}: {error.strerror}; choose another name") from None


def demand_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Errors: UserError if the disk of a folder has less room than an estimate, or than LEAST_FREE_BYTES."""
    free, needed = shutil.disk_usage(existing(folder)).free, max(needed_bytes, LEAST_FREE_BYTES)
    if free < needed:
        raise UserError(
            f"{folder}: {what} needs about {needed / GB:.1f} GB, {free / GB:.1f} GB are free; free some space"
        )


def temporary_folder() -> Path:
    """Errors: UserError if there is none"""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        raise UserError("no temporary folder can be written; set TMPDIR to one that can") from None


def home() -> Path | None:
    """The user's home; None where there is none (a container without HOME and without an entry for the user)."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def demand_in_home(setting: str, name: str) -> None:
    """A folder that a library keeps in the home, unless a variable names another; it is made here, because Prefect
    makes none in a home that does not exist yet.

    Errors: UserError if it cannot be written
    """
    folder = os.environ.get(setting)
    if folder is None and home() is None:
        raise UserError(f"HOME is not set, and this user has no home; set HOME or {setting} to a folder to write in")
    place = Path(folder) if folder else Path(str(home())) / name
    if why := unwritable(place):
        raise UserError(f"{place}: cannot be written: {why}; or set HOME or {setting}")
    place.mkdir(parents=True, exist_ok=True)
