"""Names of outputs: of a file that can be made, and that takes the place of no folder and of none of the inputs."""

import os
from collections.abc import Iterable
from pathlib import Path

from tasks.core import names
from tasks.core.errors import UserError


def same(one: str, other: str) -> bool:
    """Whether two names are those of one file, which need not exist."""
    return os.path.realpath(one) == os.path.realpath(other)  # Path.resolve raises where links lead in a circle


def demand_free(path: str, sources: Iterable[str]) -> None:
    """Errors: UserError for a name that the system does not allow, a folder, and a file of `sources`"""
    names.demand_allowed(Path(path), "--out")
    if os.path.isdir(path):
        raise UserError(f"--out: {path} is a folder; name a file in it")
    if taken := next((source for source in sources if same(source, path)), None):
        raise UserError(f"--out: {path} would overwrite the input {taken}; name another file")
