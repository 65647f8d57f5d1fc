"""The work folder beside an output: finished parts, from which an interrupted run resumes.

It contains the result of pass 1, the finished segments of pass 2 and the output until it is complete, under the hash
of everything that decides them. It is deleted when the output is complete or the job is refused, and kept when the job
is interrupted.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core import files, names
from tasks.core.errors import Stopped, UserError
from tasks.core.files import all_or_nothing, write_atomic
from tasks.dubbing.look import Face, Seen
from tasks.dubbing.watch import MESHES

FACES = "seen.npz"
DUB_VERSION = 9  # raise it when the same inputs give other frames


def key_of(inputs: dict[str, Any]) -> str:
    text = json.dumps({"version": DUB_VERSION, **inputs}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_made(out: Path, key: str) -> bool:
    """Whether the output exists, was made from these inputs and is unchanged since."""
    try:
        made_by = json.loads(out.with_suffix(".json").read_text())["made_by"]
        return bool(made_by["key"] == key and made_by["output_sha256"] == files.sha256_file(out))
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return False


def is_sidecar(path: Path) -> bool:
    """Whether this is the JSON of a dub, which another dub may replace."""
    try:
        return "made_by" in json.loads(path.read_text())
    except (OSError, ValueError, RecursionError, TypeError):
        return False


@contextmanager
def folder(out: Path, key: str) -> Iterator[Path]:
    """The folder for this output; it is emptied if it was for other inputs (another key).

    Errors: UserError where nothing can be written beside the output, or another dub writes the same; Stopped where
            writing fails later (a full disk)
    """
    here = out.parent / f".{names.shortened(out.name)}.work"
    with ExitStack() as held:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(_alone(out))
            _settle(here, key)
        except OSError as error:
            raise UserError(f"{out}: cannot be written: {error.strerror}") from error
        try:
            yield here
        except UserError:
            shutil.rmtree(here, ignore_errors=True)
            raise
        except OSError as error:
            raise Stopped(
                f"{out}: stopped: {error.strerror or error}; fix that and run the same again: it resumes from {here}"
            ) from error
        shutil.rmtree(here)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """By the name of the JSON, which a.mp4 and a.mkv have in common.  Errors: UserError if another dub writes it"""
    lock = out.parent / f".{names.shortened(out.with_suffix('.json').name)}.lock"
    with files.locked(lock, f"{out}: another dub writes it; wait until it is done, or name another file"):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _settle(here: Path, key: str) -> None:
    """An empty folder, unless its parts have this key."""
    if not (here / "key").is_file() or (here / "key").read_text() != key:
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        write_atomic(here / "key", key)


def put(whole: Path, about: str, out: Path) -> None:
    """Move the finished video and its JSON into place: each whole, and never a video without its JSON."""
    sidecar = whole.with_suffix(".json")
    write_atomic(sidecar, about)
    os.replace(sidecar, out.with_suffix(".json"))
    os.replace(whole, out)


def save(path: Path, seen: Seen) -> None:
    arrays: dict[str, np.ndarray] = {
        "times_s": seen.times_s,
        "size_hw": np.array(seen.size_hw),
        "shots": np.array(seen.shots),
        "how": np.array(seen.how),
        "firsts": np.array([face.first for face in seen.faces], int),
    }
    for k, face in enumerate(seen.faces):
        for name in ("boxes_N4", "found_N", "points_N682", "lows_NK", "rows_N"):
            arrays[f"{k}.{name}"] = getattr(face, name)
        arrays[f"{k}.at"] = np.array(list(face.portraits))
        arrays[f"{k}.portraits"] = np.stack(list(face.portraits.values()))
    with all_or_nothing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> Seen:
    with np.load(path) as arrays:
        faces = [
            Face(
                int(first),
                arrays[f"{k}.boxes_N4"],
                arrays[f"{k}.found_N"],
                arrays[f"{k}.points_N682"],
                arrays[f"{k}.lows_NK"],
                dict(zip(arrays[f"{k}.at"].tolist(), arrays[f"{k}.portraits"], strict=True)),
                arrays[f"{k}.rows_N"],
            )
            for k, first in enumerate(arrays["firsts"])
        ]
        height, width = arrays["size_hw"].tolist()
        return Seen(
            arrays["times_s"], (height, width), arrays["shots"].tolist(), faces, str(arrays["how"]),
            path.parent if (path.parent / MESHES).is_file() else None,
        )  # fmt: skip
