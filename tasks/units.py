"""The unit cache: finished pieces of a stage (a shard, say), keyed by everything that decides their bytes.

A stage plans units, builds the ones that are missing, and collects all of them into its outs. DVC deletes outs
before a run and Prefect forgets; units lie outside both (`LIPGAN_CACHE`, default .cache/), so one more clip costs
one shard, and a killed run goes on where it stopped. A unit is a folder that is whole or absent.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks import paths
from tasks.stage import all_or_nothing


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work. `inputs` decides the bytes and makes the key; `hints` (paths, say) must not."""

    stage: str
    name: str  # what the piece is called in logs and, often, the file it becomes
    inputs: dict[str, Any]  # JSON values only
    hints: dict[str, Any]
    size: int = 1  # clips in it, for the progress bar

    @property
    def key(self) -> str:
        text = json.dumps({"stage": self.stage, "inputs": self.inputs}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def folder(self) -> Path:
        return paths.cache() / "units" / self.stage / self.key[:2] / self.key

    @property
    def done(self) -> bool:
        return self.folder.is_dir()


Build = Callable[[Unit, Path], None]  # writes the unit's files into the folder


def make(build: Build, unit: Unit) -> None:
    """Build a unit that is missing; a second worker that makes the same one loses nothing."""
    if unit.done:
        return
    with all_or_nothing(unit.folder) as partial:
        partial.mkdir()
        build(unit, partial)
        for file in partial.iterdir():
            file.chmod(0o444)  # outs may be hard links to it: nothing may write through one


def collect(units: Iterable[Unit], member: str, out: Path) -> list[Path]:
    """Fill the folder `out` with the units' `member` files under the units' names: all of them or none."""
    with all_or_nothing(out) as partial:
        partial.mkdir()
        for unit in units:
            source = unit.folder / member
            try:
                os.link(source, partial / unit.name)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(source, partial / unit.name)
        planned, written = sorted(u.name for u in units), sorted(p.name for p in partial.iterdir())
        assert planned == written, f"planned {planned}, wrote {written}"
    return [out / name for name in planned]


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions, for keys: another decoder may decode to other bytes."""
    return {name: importlib.metadata.version(name) for name in names}


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_file(path: Path) -> str:
    """The hash DVC writes into dvc.lock, so that MLflow and dvc.lock can be matched."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def md5_bytes(content: bytes) -> str:
    """The same, of bytes that lie in no file."""
    return hashlib.md5(content).hexdigest()
