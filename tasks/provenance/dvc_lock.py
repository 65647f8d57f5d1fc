"""dvc.lock, read without DVC: which bytes each stage read and wrote, in the work tree, in a commit, in all of history.

A hash is as dvc.lock writes it: the md5 of a file, or "<md5>.dir" of a folder. tasks/provenance/dvc_cache.py says where
a copy of the bytes is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.core import paths, programs

LOCK = "dvc.lock"


@dataclass(frozen=True, slots=True)
class Stage:
    deps: dict[str, str]  # path -> hash
    outs: dict[str, str]
    params: dict[str, Any]  # "train", or "train.margin" -> value


Lock = dict[str, Stage]


def parse(text: str) -> Lock:
    """Errors: ValueError if the text is not a dvc.lock."""
    try:
        stages = yaml.load(text, yaml.CSafeLoader)["stages"]
        return {
            name: Stage(
                deps={item["path"]: item["md5"] for item in stage.get("deps", [])},
                outs={item["path"]: item["md5"] for item in stage.get("outs", []) if "md5" in item},
                params=stage.get("params", {}).get(str(paths.PARAMS), {}),
            )
            for name, stage in stages.items()
        }
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a dvc.lock: {error}") from error


def out(lock: Lock, path: Path) -> str:
    """The hash of an out; empty if no stage writes it."""
    return outs_of(lock).get(str(path), "")


def outs_of(lock: Lock) -> dict[str, str]:
    """Path -> hash of everything that the stages write."""
    return {path: digest for stage in lock.values() for path, digest in stage.outs.items()}


def committed(revision: str = "HEAD") -> Lock | None:
    """dvc.lock of a commit; None if the commit has none."""
    text = programs.git_contents([f"{revision}:{LOCK}"])[0]
    return parse(text.decode()) if text is not None else None


def unpushed(pipeline: dict[str, Any]) -> frozenset[str]:
    """Outs that dvc.yaml marks `push: false`: no remote has them."""
    return frozenset(
        path
        for stage in pipeline.get("stages", {}).values()
        for out in stage.get("outs", [])
        if isinstance(out, dict)
        for path, settings in out.items()
        if settings.get("push") is False
    )


def history() -> dict[str, str]:
    """Commit -> git's hash of its dvc.lock, of every commit on any branch that changed it, newest first.

    Commits that removed the file are left out. Empty outside a git repository.
    """
    lines = programs.git(
        "log", "--all", "--full-history", "--topo-order", "-m", "--raw", "--no-abbrev", "--format=@%H", "--", LOCK
    )
    blobs: dict[str, str] = {}
    commit = ""
    for line in filter(None, (lines or "").splitlines()):
        if line.startswith("@"):
            commit = line[1:]
        else:  # ":<mode> <mode> <blob before> <blob after> <letter>\t<path>"
            blob = line.split(" ")[3]
            if blob.strip("0"):
                blobs[commit] = blob
    return blobs


def locks(blobs: list[str]) -> Iterator[Lock]:
    """The locks with these git hashes, in order; an empty one for text with the conflict marks of a merge."""
    for content in programs.git_contents(blobs):
        try:
            yield parse((content or b"").decode())
        except ValueError:
            yield {}


def outs_by_commit() -> Iterator[tuple[str, dict[str, str]]]:
    """("work tree", outs) of the dvc.lock here, if there is one; then (commit, outs) of each in `history`."""
    if Path(LOCK).is_file():
        yield "work tree", outs_of(parse(Path(LOCK).read_text()))
    if blobs := history():
        for commit, lock in zip(blobs, locks(list(blobs.values())), strict=True):
            yield commit, outs_of(lock)
