"""JSON that others may have written: an object, or one line; and a value in it, by its path, of the expected type."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.core.errors import UserError


def read(path: Path, advice: str = "run `dvc checkout`") -> dict[str, Any]:
    """The object in a file.  Errors: UserError if it holds none; FileNotFoundError"""
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested too deep
        raise UserError(f"{path}: damaged, no JSON ({str(error)[:80]}); {advice}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: damaged: a JSON object is expected, got {str(values)[:40]!r}; {advice}")
    return values


def value(values: Mapping[str, Any], name: str, kind: type | tuple[type, ...], where: Path) -> Any:
    """The value at "params.faces.size".  Errors: UserError if it is missing or of another type"""
    found: Any = values
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        wanted = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise UserError(
            f"{where}: {name} is {str(found)[:40]!r}, {wanted} is expected; it is damaged, or of another version of "
            "this project"
        )
    return found
