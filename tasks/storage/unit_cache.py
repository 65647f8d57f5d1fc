"""The unit cache: finished pieces of a stage (a shard, say), keyed by everything that decides their bytes.

A stage plans units, builds the ones that are missing, and collects all of them into its outs. DVC deletes outs
before a run and Prefect forgets; units lie outside both (`LIPGAN_CACHE`, default .cache/), so one more clip costs
one shard, and a killed run goes on where it stopped. A unit is a folder that is whole or absent.

LIPGAN_UNITS   s3://bucket/folder: finished units are shared there, one object each; what one machine has made, no other
               makes again. Here they stay as well, and everything is read from here
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar, doing
from tasks.storage import object_store
from tasks.storage.object_store import Store

EXCHANGED_AT_ONCE = 8  # objects on their way to or from a shared cache


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

    @property
    def shared_name(self) -> str:
        return f"{self.stage}/{self.key}.tar"


Build = Callable[[Unit, Path], None]  # writes the unit's files into the folder


def make(build: Build, unit: Unit) -> None:
    """Build a unit that is missing; a second worker that makes the same one loses nothing."""
    if unit.done:
        return
    doing(unit.name)
    with all_or_nothing(unit.folder) as partial:
        partial.mkdir()
        build(unit, partial)
        for file in partial.iterdir():
            file.chmod(0o444)  # outs may be hard links to it: nothing may write through one
    if there := shared():
        _send(unit, there)
    doing("")


def shared() -> Store | None:
    """The cache that machines share, if there is one."""
    url = os.environ.get("LIPGAN_UNITS", "")
    return object_store.at(url, "LIPGAN_UNITS") if url else None


def exchange(planned: Sequence[Unit]) -> None:
    """Fetch the units that are missing here and lie in the shared cache; send those that it lacks.

    Errors: UserError where it cannot be reached; what has come stays.
    """
    if not (there := shared()) or not planned:
        return
    sizes = {name: size for stage in {unit.stage for unit in planned} for name, size in there.sizes(stage).items()}
    to_fetch = [unit for unit in planned if not unit.done and unit.shared_name in sizes]
    to_send = [unit for unit in planned if unit.done and unit.shared_name not in sizes]
    with (
        ThreadPoolExecutor(EXCHANGED_AT_ONCE) as executor,
        bar(len(to_fetch) + len(to_send), f"{there.url}: exchanging", "unit") as shown,
    ):
        coming = [executor.submit(_fetch, unit, there, sizes[unit.shared_name]) for unit in to_fetch]
        going = [executor.submit(_send, unit, there) for unit in to_send]
        try:
            for exchanged in coming + going:
                exchanged.result()
                shown.update()
        except UserError:
            executor.shutdown(cancel_futures=True)
            raise


def _send(unit: Unit, there: Store) -> None:
    """As one object, a tar: S3 shows all of it or nothing."""
    with tempfile.TemporaryDirectory(dir=unit.folder.parent, prefix=".send.") as scratch:
        packed = Path(scratch) / "unit.tar"
        with tarfile.open(packed, "w") as tar:
            for file in sorted(unit.folder.iterdir()):
                info = tarfile.TarInfo(file.name)
                info.size = file.stat().st_size
                with file.open("rb") as content:
                    tar.addfile(info, content)
        there.put(packed, unit.shared_name)


def _fetch(unit: Unit, there: Store, size: int) -> None:
    unit.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=unit.folder.parent, prefix=".fetch.") as scratch:
        packed = Path(scratch) / "unit.tar"
        there.get(unit.shared_name, packed)
        with all_or_nothing(unit.folder) as partial:
            try:
                if packed.stat().st_size != size:
                    raise tarfile.ReadError(f"{packed.stat().st_size} bytes came, {size} were promised")
                with tarfile.open(packed, "r:") as tar:
                    tar.extractall(partial, filter="data")
            except tarfile.TarError as error:
                raise UserError(
                    f"{there.url}/{unit.shared_name}: not a unit ({error}); delete it there, and it is made anew"
                ) from None
            for file in partial.iterdir():
                file.chmod(0o444)


def used(planned: Iterable[Unit]) -> None:
    """Note the day of use of the units that are here: `python -m flows gc` goes by it."""
    for unit in planned:
        if unit.done:
            os.utime(unit.folder)


def collect(units: Iterable[Unit], member: str, out: Path, ending: str = "") -> list[Path]:
    """Fill the folder `out` with the units' `member` files under the units' names and `ending`: all of them or none."""
    with all_or_nothing(out) as partial:
        partial.mkdir()
        for unit in units:
            source = unit.folder / member
            try:
                os.link(source, partial / f"{unit.name}{ending}")
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(source, partial / f"{unit.name}{ending}")
        planned, written = sorted(f"{u.name}{ending}" for u in units), sorted(p.name for p in partial.iterdir())
        assert planned == written, f"planned {planned}, wrote {written}"
    return [out / name for name in planned]


def library_versions(*names: str) -> dict[str, str]:
    """Installed versions, for keys: another decoder may decode to other bytes."""
    return {name: importlib.metadata.version(name) for name in names}
