"""What lies in a folder of videos: files that can be read, and everything else by name and reason.

Nothing is opened here: to open a pipe would wait for ever.
"""

import stat
from collections.abc import Iterator
from pathlib import Path

PLACEHOLDER = ".gitkeep"  # keeps an empty folder in git, as data/videos of this repository
KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def regular(folder: Path) -> list[Path]:
    """Files, sorted; hidden ones and what lies in hidden folders are left out."""
    return sorted(path for path in _walk(folder) if not odd(path) and path.is_file())


def odd_ones(folder: Path) -> list[tuple[Path, str, str]]:
    """(path, reason, detail) of what is neither a file that is read nor a folder that is entered."""
    found = (path for path in sorted(_walk(folder)) if path.name != PLACEHOLDER)
    return [(path, *why) for path in found if (why := odd(path))]


def odd(path: Path) -> tuple[str, str] | None:
    """Why this is no file that is read: (reason, detail)."""
    if path.name.startswith("."):
        return "hidden", "its name begins with a dot"
    try:
        mode = path.stat().st_mode
    except OSError as error:
        problem = "a link to nothing" if path.is_symlink() else str(error.strerror)
        return "not_a_file", problem
    if stat.S_ISDIR(mode):
        return "not_a_file", "a link in a circle"
    return next((("not_a_file", kind) for is_kind, kind in KINDS if is_kind(mode)), None)


def pipe_in(folder: Path) -> Path | None:
    """A pipe, a socket or a device: a program that hashes the folder, as DVC does, would wait for it for ever."""
    kinds = {kind for _, kind in KINDS}
    return next((path for path in sorted(_walk(folder, hidden=True)) if (odd_kind(path) in kinds)), None)


def odd_kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    return next((kind for is_kind, kind in KINDS if is_kind(mode)), "")


def _walk(folder: Path, hidden: bool = False, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Everything but folders; links to folders are entered. A hidden folder, and a link in a circle, is yielded itself.

    above: the real paths of the folders that this one lies in
    """
    here = (*above, folder.resolve())
    for path in folder.iterdir():
        circle = path.is_dir() and path.is_symlink() and path.resolve() in here
        if (path.name.startswith(".") and not hidden) or not path.is_dir() or circle:
            yield path
        else:
            yield from _walk(path, hidden, here)
