"""The unit cache: finished pieces of a stage (for example a shard), keyed by everything that decides their bytes.

A stage plans units, builds the missing ones, and collects all of them into its outs. DVC deletes outs before a run and
Prefect keeps no results; units are outside both (`LIPGAN_CACHE`, default .cache/), so one more clip costs one shard,
and a killed run resumes where it stopped. A unit is a folder that is whole or absent.

LIPGAN_UNITS   s3://bucket/folder: finished units are shared between machines, one object each; local copies are kept
               and always read first. A worker on a machine that shares no folder leaves its unit there
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar, doing
from tasks.storage import object_store
from tasks.storage.object_store import ObjectStore

EXCHANGED_AT_ONCE = 8  # parallel transfers to or from a shared cache


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work. `inputs` decides the bytes and makes the key; `hints` (paths, say) must not."""

    stage: str
    name: str  # shown in logs; often the name of the output file
    inputs: dict[str, Any]  # JSON values only
    hints: dict[str, Any]
    size: int = 1  # clips in it, for the progress bar
    portable: bool = False  # everything that it is built from is in it, in the code, or in object storage

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

    @property
    def travels(self) -> bool:
        """Whether a machine that sees neither the project's folder nor the unit cache can build it."""
        return self.portable and shared() is not None

    @property
    def shared_name(self) -> str:
        return f"{self.stage}/{self.key}.tar"


Build = Callable[[Unit, Path], None]  # writes the unit's files into the folder


def make(build: Build, unit: Unit) -> None:
    """Build a unit if it is missing; two workers may build the same one safely.

    Errors: UserError where this machine's libraries are others than those of the unit's key
    """
    if unit.done:
        return
    _demand_libraries(unit.inputs.get("libraries", {}))
    doing(unit.name)
    with all_or_nothing(unit.folder) as partial:
        partial.mkdir()
        build(unit, partial)
        for file in partial.iterdir():
            file.chmod(0o444)  # outs may be hard links to it, through which nothing may write
    if store := shared():
        _send(unit, store)
    doing("")


def fetch_made(unit: Unit) -> None:
    """After its build on another machine: fetch a unit that is not here."""
    if not unit.done and (store := shared()):
        sizes = store.sizes(unit.shared_name)
        if unit.shared_name not in sizes:
            raise UserError(f"{store.url}: {unit.name} was built on another machine and did not arrive; run again")
        _fetch(unit, store, sizes[unit.shared_name])


def shared() -> ObjectStore | None:
    """The cache shared between machines, if there is one."""
    url = os.environ.get("LIPGAN_UNITS", "")
    return object_store.at(url, "LIPGAN_UNITS") if url else None


def exchange(planned: Sequence[Unit]) -> None:
    """Fetch missing units from the shared cache, and send it those that it lacks.

    Errors: UserError if it cannot be reached; finished transfers are kept.
    """
    if not (store := shared()) or not planned:
        return
    sizes = {name: size for stage in {unit.stage for unit in planned} for name, size in store.sizes(stage).items()}
    to_fetch = [unit for unit in planned if not unit.done and unit.shared_name in sizes]
    to_send = [unit for unit in planned if unit.done and unit.shared_name not in sizes]
    with (
        ThreadPoolExecutor(EXCHANGED_AT_ONCE) as executor,
        bar(len(to_fetch) + len(to_send), f"{store.url}: exchanging", "unit") as progress,
    ):
        fetches = [executor.submit(_fetch, unit, store, sizes[unit.shared_name]) for unit in to_fetch]
        sends = [executor.submit(_send, unit, store) for unit in to_send]
        try:
            for transfer in fetches + sends:
                transfer.result()
                progress.update()
        except UserError:
            executor.shutdown(cancel_futures=True)
            raise


def _send(unit: Unit, store: ObjectStore) -> None:
    """Send a unit as one object, a tar, which S3 shows whole or not at all."""
    with tempfile.TemporaryDirectory(dir=unit.folder.parent, prefix=".send.") as scratch:
        packed = Path(scratch) / "unit.tar"
        with tarfile.open(packed, "w") as tar:
            for file in sorted(unit.folder.iterdir()):
                info = tarfile.TarInfo(file.name)
                info.size = file.stat().st_size
                with file.open("rb") as content:
                    tar.addfile(info, content)
        store.put(packed, unit.shared_name)


def _fetch(unit: Unit, store: ObjectStore, size: int) -> None:
    unit.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=unit.folder.parent, prefix=".fetch.") as scratch:
        packed = Path(scratch) / "unit.tar"
        store.get(unit.shared_name, packed)
        with all_or_nothing(unit.folder) as partial:
            try:
                if packed.stat().st_size != size:
                    raise tarfile.ReadError(f"{packed.stat().st_size} bytes of {size} arrived")
                with tarfile.open(packed, "r:") as tar:
                    tar.extractall(partial, filter="data")
                if not partial.is_dir() or not any(partial.iterdir()):
                    raise tarfile.ReadError("it is empty")
            except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:  # of damaged headers
                raise UserError(
                    f"{store.url}/{unit.shared_name}: not a unit ({error}); delete it there, and it is built again"
                ) from None
            for file in partial.iterdir():
                file.chmod(0o444)


def used(planned: Iterable[Unit]) -> None:
    """Record that the local units were used now; `python -m flows gc` deletes by last use."""
    for unit in planned:
        if unit.done:
            os.utime(unit.folder)


def collect(units: Iterable[Unit], member: str, out: Path, ending: str = "") -> list[Path]:
    """Fill the folder `out` with the units' `member` files, named by unit and `ending`; all-or-nothing."""
    with all_or_nothing(out) as partial:
        partial.mkdir()
        for unit in units:
            source = unit.folder / member
            try:
                _link(source.resolve(strict=True), partial / f"{unit.name}{ending}")
            except FileNotFoundError:
                raise UserError(
                    f"{unit.folder}: a finished unit without {member}; delete that folder, and it is built again"
                ) from None
        planned, written = sorted(f"{u.name}{ending}" for u in units), sorted(p.name for p in partial.iterdir())
        assert planned == written, f"planned {planned}, wrote {written}"
    return [out / name for name in planned]


def _link(source: Path, place: Path) -> None:
    """A hard link; a symbolic one to another file system, which DVC follows into its cache; else a copy."""
    for link in (os.link, os.symlink):
        with contextlib.suppress(OSError):
            link(source, place)
            return
    shutil.copyfile(source, place)


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions, for unit keys: another decoder version may give other bytes."""
    return {name: importlib.metadata.version(name) for name in names}


def _demand_libraries(planned: Mapping[str, str]) -> None:
    """On a worker.  Errors: UserError if it has other versions than the machine that planned the unit"""
    other = []
    for name, wanted in planned.items():
        try:
            here = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            here = "none"
        if here != wanted:
            other.append(f"{name} {here}, not {wanted}")
    if other:
        line = "; ".join(other)
        raise UserError(f"{socket.gethostname()} has {line}: bytes could differ; install the same there")
