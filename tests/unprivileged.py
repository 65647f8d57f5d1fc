"""Programs that may not write in the current folder, although the tests may run as root.

Root writes everywhere by a capability. A process of root without it is bound by the bits of a folder, as any user is.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT

WITHOUT = """
import ctypes
for capability in (1, 2, 3):  # DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER; also for the programs that this one starts
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
if not ctypes.CDLL(None).capget(header, data):
    for word in (0, 1, 2):  # effective, permitted, inheritable
        data[word] &= ~0b1110
    ctypes.CDLL(None).capset(header, data)
"""


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
    command = [sys.executable, "-c", f"{WITHOUT}\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, env=given, timeout=300)


def command(*words, **environment):
    """A command of ours, likewise."""
    return run(f"from flows.cli import main; raise SystemExit(main({list(words)!r}))", **environment)
