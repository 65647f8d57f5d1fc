"""The version of this project, and the code itself: machines that work together have to have the same."""

import hashlib
import importlib.metadata
import tomllib
from pathlib import Path

from tasks.core import released

DISTRIBUTION = "lipgan-pipeline"


def version() -> str:
    """Of the checkout that this file lies in, by its pyproject.toml; else of the installed package."""
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text()).get("project", {})
        if project.get("name") == DISTRIBUTION:
            return project["version"]
    return importlib.metadata.version(DISTRIBUTION)


def code_digest() -> str:
    """Hash of the code that decides results: the sources of tasks/ and model/, and the released weights."""
    root = Path(__file__).parents[2]
    files = [file for room in ("model", "tasks") for file in sorted((root / room).rglob("*.py"))]
    files += sorted(released.FOLDER.glob("*.safetensors"))
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
