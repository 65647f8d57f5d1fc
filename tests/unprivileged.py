"""Programs run as a user who may not write in the current folder; the tests themselves may run as root."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT

NOBODY = 65534


@pytest.fixture
def closed(workspace, monkeypatch):
    """An empty project folder in which nothing can be made; others may look into it and those above it."""
    with tempfile.TemporaryDirectory(prefix="lipgan-closed-") as name:
        place = Path(name)
        shutil.copy(workspace / "params.yaml", place / "params.yaml")
        place.chmod(0o555)
        monkeypatch.chdir(place)
        yield place
        place.chmod(0o755)
        monkeypatch.chdir(workspace)


def run(code, **environment):
    """Python code in a process of its own, in the current folder. A variable that is None is left out."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    given = {name: value for name, value in given.items() if value is not None}
    become = f"import os; os.getuid() or os.setuid({NOBODY}); "
    return subprocess.run([sys.executable, "-c", become + code], capture_output=True, text=True, env=given, timeout=300)


def command(*words, **environment):
    """A command of ours, likewise."""
    return run(f"from flows.cli import main; raise SystemExit(main({list(words)!r}))", **environment)
