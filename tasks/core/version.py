"""The version of this project."""

import importlib.metadata
import tomllib
from pathlib import Path

DISTRIBUTION = "lipgan-pipeline"


def version() -> str:
    """Of the checkout that this file lies in, by its pyproject.toml; else of the installed package."""
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text()).get("project", {})
        if project.get("name") == DISTRIBUTION:
            return project["version"]
    return importlib.metadata.version(DISTRIBUTION)
