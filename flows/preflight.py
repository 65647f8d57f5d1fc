"""What every long command asks first: can its work be kept, and do the servers that it needs answer?

One line for each thing that is not so, before anything is loaded or computed, and nothing left behind. After it, a
folder without permission, a disk too small, a home that cannot be written, a wrong certificate or a server that is off
cannot lose finished work.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from model.params import LOCAL
from tasks.core import paths, preflight, servers
from tasks.core.errors import UserError
from tasks.storage import object_store

STAGE_WRITES = {
    "acquire": (paths.RAW, paths.CLIPS.parent),
    "preprocess": (paths.SHARDS, paths.REPORTS),
    "expert": (paths.EXPERT.parent, paths.REPORTS),
    "motion": (paths.MOTION.parent, paths.REPORTS),
    "inside": (paths.INSIDE.parent, paths.REPORTS),
    "train": (paths.GENERATOR.parent, paths.REPORTS),
    "evaluate": (paths.REPORTS,),
}
TRACKED = ("expert", "motion", "inside", "train", "evaluate")
TRAINING_BYTES = 1 << 30  # states and checkpoints of a training
DUB_BYTES = 100 << 20  # of a dub, beside thrice its source


def run(
    writes: Iterable[Path],
    *,
    flow: bool = False,
    tracked: bool = False,
    signs: bool = False,
    needs_bytes: int = 0,
    what: str = "this",
) -> None:
    """`writes`: folders. `flow`: Prefect runs it. `tracked`: it reports to MLflow. `signs`: it marks videos.

    needs_bytes  an estimate, on the disk of the first folder; `what`: of what
    Errors: UserError
    """
    folders = list(writes)
    preflight.temporary_folder()
    preflight.demand_writable(folders)
    preflight.demand_space(folders[0], needs_bytes, what)
    if flow:
        prefect()
    if tracked:
        mlflow()
    if signs:
        signature()


def stage(name: str, corpus_folder: Path | None = None, raw: str = LOCAL) -> None:
    """Before a stage of dvc.yaml. `corpus_folder`: the videos, where the corpus is a folder of them.

    raw  acquire.raw: where the raw shards are
    """
    from tasks.media import folder_files
    from tasks.tracking import runs

    needed = {"expert": TRAINING_BYTES, "train": TRAINING_BYTES, "preprocess": size_of(paths.RAW) // 2}
    if name == "acquire" and corpus_folder and corpus_folder.is_dir():
        needed["acquire"] = sum(file.stat().st_size for file in folder_files.regular(corpus_folder))
    folders = [paths.cache(), *STAGE_WRITES[name]]
    run(folders, flow=True, tracked=name in TRACKED, needs_bytes=needed.get(name, 0), what=f"stage {name}")
    if name not in TRACKED:  # they load MLflow at their end alone
        runs.demand_answer()
    if os.environ.get("LIPGAN_UNITS") or raw != LOCAL:
        object_store.demand_endpoint()


def dub(out: Path, sources: Iterable[str | None], signs: bool = True) -> None:
    """Before a video is made: its folder, and room for thrice what it is made from."""
    given = sum(Path(source).stat().st_size for source in sources if source and Path(source).is_file())
    run([out.parent], signs=signs, needs_bytes=3 * given + DUB_BYTES, what=f"{out.name} and its parts")


def pipeline(folder: Path | None) -> None:
    """Before `dvc repro`. DVC hashes the folder of videos, and would wait for a pipe in it for ever."""
    from tasks.media import folder_files

    run([paths.cache(), *{place for places in STAGE_WRITES.values() for place in places}], flow=True, tracked=True)
    if folder and folder.is_dir() and (pipe := folder_files.pipe_in(folder)):
        raise UserError(f"{pipe}: {folder_files.odd_kind(pipe)}; DVC would wait for it for ever: remove it")


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*") if file.is_file())


def prefect() -> None:
    """Errors: UserError if the server that PREFECT_API_URL names is off, or Prefect has no folder to write in"""
    preflight.demand_in_home("PREFECT_HOME", ".prefect")
    if url := os.environ.get("PREFECT_API_URL"):
        servers.demand("PREFECT_API_URL", url, "/health", "unset PREFECT_API_URL: the stage then needs none")
    from flows import pools

    pools.demand_cluster()


def mlflow() -> None:
    from tasks.tracking import runs

    runs.demand_server()


def signature() -> None:
    from tasks.provenance import c2pa_mark

    c2pa_mark.demand_signer()
