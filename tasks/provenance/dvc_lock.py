"""dvc.lock and DVC's cache, read without DVC: which bytes each stage took and gave, and where a copy of them lies.

A hash is as dvc.lock writes it: the md5 of a file, or "<md5>.dir" of a folder, which is the md5 of the list of its
files, kept in the cache as JSON under that name.
"""

import configparser
import fnmatch
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.core import files, paths, programs

LOCK = "dvc.lock"


@dataclass(frozen=True, slots=True)
class Stage:
    deps: dict[str, str]  # path -> hash
    outs: dict[str, str]
    params: dict[str, Any]  # "train", or "train.margin" -> value


Lock = dict[str, Stage]


def parse(text: str) -> Lock:
    """Errors: ValueError where the text is no dvc.lock."""
    try:
        stages = yaml.load(text, yaml.CSafeLoader)["stages"]
        return {
            name: Stage(
                deps={item["path"]: item["md5"] for item in stage.get("deps", [])},
                outs={item["path"]: item["md5"] for item in stage.get("outs", [])},
                params=stage.get("params", {}).get(str(paths.PARAMS), {}),
            )
            for name, stage in stages.items()
        }
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a dvc.lock: {error}") from error


def out(lock: Lock, path: Path) -> str:
    """The hash of what some stage writes; empty where none does."""
    return next((stage.outs[str(path)] for stage in lock.values() if str(path) in stage.outs), "")


def cache_folder() -> Path:
    """Where DVC keeps its copies: of a worktree, what its own settings name."""
    for file in (Path(".dvc/config.local"), Path(".dvc/config")):
        settings = configparser.ConfigParser()
        settings.read(file)
        if settings.has_option("cache", "dir"):
            return (Path(".dvc") / settings["cache"]["dir"].strip("\"'")).resolve()
    return Path(".dvc/cache").resolve()


def place(digest: str) -> Path:
    """Where the cache keeps a file or a folder's list, whether it has it or not."""
    return cache_folder() / "files/md5" / digest[:2] / digest[2:]


def cached(digest: str) -> Path | None:
    """The cache's copy of a file or of a folder's list; None where it has none, or a damaged one."""
    copy = place(digest)
    if not digest or not copy.is_file() or files.md5_file(copy) != digest.removesuffix(".dir"):
        return None
    return copy


def files_of(digest: str) -> dict[str, str] | None:
    """Files of a folder, by its hash: path in it -> md5; None where the cache lacks the list."""
    listed = cached(digest)
    return {item["relpath"]: item["md5"] for item in json.loads(listed.read_text())} if listed else None


def folder_hash(md5_by_file: dict[str, str]) -> str:
    """The hash of a folder with these files (path in it -> md5)."""
    listed = [{"md5": md5, "relpath": name} for name, md5 in sorted(md5_by_file.items())]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode()).hexdigest() + ".dir"


def listed(folder: Path) -> list[Path]:
    """The files of a folder that DVC looks at: all but those .dvcignore names."""
    ignore = Path(".dvcignore")
    lines = ignore.read_text().splitlines() if ignore.is_file() else []
    patterns = [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(fnmatch.fnmatch(part, pattern) for part in file.parts for pattern in patterns)
    )


def committed(revision: str = "HEAD") -> Lock | None:
    """dvc.lock as a commit holds it; None where the commit has none."""
    text = programs.git_contents([f"{revision}:{LOCK}"])[0]
    return parse(text.decode()) if text is not None else None
