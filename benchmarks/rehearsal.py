"""What the rehearsals of benchmarks/hosts.py share: a project made by one machine, and hosts that work on it."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import REPOSITORY
from benchmarks.netns import Host
from tasks.core import paths

CODE = ("flows", "tasks", "model", "released")
PATIENCE_S = 900.0
PORT = 5000
BUCKET = "lipsync"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("LIPGAN_", "AWS_"))} | {
    "PYTHONPATH": str(REPOSITORY),
    "LIPGAN_TRACKING": "off",
    "OMP_NUM_THREADS": "1",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Rehearsal:
    """scratch: a folder for all of it.  one: the project as one machine made it"""

    scratch: Path
    one: Path
    params_text: Callable[..., str]

    def lay_out(self, host: Host, *places: Path, **changes: object) -> None:
        """The project's parameters and these files of it, on a host's disk."""
        (host.files / paths.PARAMS).write_text(self.params_text(**changes))
        for place in places:
            (host.files / place).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (self.one / place).is_dir() else shutil.copy2
            copy(self.one / place, host.files / place)

    def log(self, name: str) -> Path:
        return self.scratch / f"{name}.log"


def install(host: Host) -> dict[str, str]:
    """A copy of the code on the host's disk, which alone it sees; the variable that finds it."""
    for room in CODE:
        shutil.copytree(REPOSITORY / room, host.files / "installed" / room)
    host.hidden = [REPOSITORY / room for room in CODE]
    return {"PYTHONPATH": str(host.work / "installed")}


@contextmanager
def storage(host: Host, log: Path) -> Iterator[dict[str, str]]:
    """An S3 server on the host, and the variables under which the others find it and its bucket."""
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host.address}:{PORT}",
        "AWS_ACCESS_KEY_ID": "made-up",
        "AWS_SECRET_ACCESS_KEY": "made-up",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    host.start([sys.executable, "-c", f"from moto.server import main; main(['-H', '0.0.0.0', '-p', '{PORT}'])"], log)
    made = f"import s3fs; s3fs.S3FileSystem().mkdir('{BUCKET}')"
    wait_for(lambda: bool(log.read_text().count("Running on")), "the S3 server")
    finished(host.start([sys.executable, "-c", made], log.with_suffix(".bucket"), **variables))
    yield variables


def wait_for(true: Callable[[], bool], what: str) -> float:
    """Seconds until it is true.  Errors: TimeoutError"""
    began_s = time.monotonic()
    while not true():
        if time.monotonic() - began_s > PATIENCE_S:
            raise TimeoutError(f"{what}: not within {PATIENCE_S:g} s")
        time.sleep(0.1)
    return time.monotonic() - began_s


def finished(process: subprocess.Popen) -> int:
    """Its exit status.  Errors: subprocess.TimeoutExpired"""
    return process.wait(PATIENCE_S)


def hashes(folder: Path, *places: Path) -> dict[str, str]:
    files = [file for place in places for file in [folder / place, *(folder / place).rglob("*")] if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}


def line_with(log: Path, words: str) -> str:
    """The one line of a log that contains the words; "" if there is none, "TRACEBACK" if it has one of those."""
    text = log.read_text()
    lines = [line for line in text.splitlines() if words in line]
    return "TRACEBACK" if "Traceback" in text and not lines else lines[0] if lines else ""
