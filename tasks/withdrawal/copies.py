"""Search for copies of a video: by the contents of files, not by manifests.

A tar contains a video if a member's key names it (<part>/<video>/<clip>), a table if it has a kept row or the words of
it, a page if it marks a picture as the video's (tasks.core.html.shows) or, without such marks, if its text has the key;
a picture if its name has it. Checkpoints contain no faces: they are retired, not deleted.
"""

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from model.params import Params
from tasks.acquire import folder as acquire_folder
from tasks.core import config, html, paths, programs
from tasks.core.files import md5_file
from tasks.core.progress import progress
from tasks.persons import withdraw as persons
from tasks.provenance import dvc_cache, withdrawals
from tasks.provenance.dvc_cache import DvcStore

UNMARKED_OVERVIEW = b"<title>Preprocessing</title>"  # of version 0.1, without marks: it may show anybody


@dataclass(frozen=True, slots=True)
class Copy:
    """`kind` as text; `name`: a path in the project, or an object's md5; `md5`: of a file's bytes."""

    kind: str
    place: str  # path, or path in the store
    name: str
    size: int
    md5: str = ""
    store: DvcStore | None = None


def holds(file: io.BufferedIOBase, video: str) -> bool:
    """Whether a file contains a video's faces or words, whatever its name."""
    head = file.read(512)
    file.seek(0)
    if head[257:262] == b"ustar":
        with tarfile.open(fileobj=file, mode="r:") as tar:  # type: ignore[call-overload]
            for member in tar:
                rows = tar.extractfile(member) if member.name == "rows.json" else None  # of a packed unit
                if member.name.split("/")[-2:-1] == [video] or (rows and _name(json.load(rows), video)):
                    return True
            return False
    if head[:4] == b"PAR1":
        return _rows_of(file, video)
    if head[:15].lower() == b"<!doctype html>":
        return _shown_by(file.read(), video)
    return False


def _shown_by(page: bytes, video: str) -> bool:
    if f"{html.SHOWS}=".encode() in page:
        return html.shows(video).encode() in page
    return UNMARKED_OVERVIEW in page or f"/{video}/".encode() in page


def _rows_of(file: io.BufferedIOBase, video: str) -> bool:
    table = pq.ParquetFile(file)
    if not {"video", "status", "text"} <= set(table.schema_arrow.names):
        return False
    rows = table.read(["video", "status", "text"]).to_pylist()
    return any(row["video"] == video and (row["status"] == "kept" or row["text"]) for row in rows)


def everywhere(p: Params) -> list[DvcStore]:
    """DVC's cache, every remote, and the buckets of raw shards and finished units."""
    shared = {"shared units": os.environ.get("LIPGAN_UNITS", ""), "raw shards": p.acquire.raw}
    buckets = [dvc_cache.bucket(name, url) for name, url in shared.items() if url.startswith("s3://")]
    return [dvc_cache.cache(), *dvc_cache.remotes(), *buckets]


def find(video: str, places: Sequence[DvcStore]) -> list[Copy]:
    """All copies in the work trees, the caches, and in `places`, run-caches included."""
    copies = [*_in_work_trees(video), *_in_persons(video), *_in_units(video), *_in_trainings(video)]
    checked: dict[str, bool] = {}  # md5 -> whether it contains the video
    for store in places:
        copies += _in_bucket(store, video) if store.plain else _in_store(store, video, checked)
    return copies


def originals(video: str, hashes: Iterable[str], p: Params) -> list[Path]:
    """Files of corpus `folder` that are the video, by name or bytes, and their transcripts."""
    folder = Path(p.corpus.folder)
    if p.corpus.name != "folder" or not folder.is_dir():
        return []
    known = set(hashes)
    listed, words = acquire_folder.listed(folder)
    videos = [file.path for file in listed if file.video == video or file.sha256 in known]
    return sorted({*videos, *(words[path] for path in videos if path in words)})


def work_trees() -> list[Path]:
    listed = programs.git("worktree", "list", "--porcelain") or ""
    trees = [Path(line.removeprefix("worktree ")) for line in listed.splitlines() if line.startswith("worktree ")]
    return [tree for tree in trees if tree.is_dir()] or [Path.cwd()]


def _in_work_trees(video: str) -> Iterator[Copy]:
    here = Path.cwd()
    for tree in work_trees():
        outs = [*sorted((tree / paths.RAW).glob("*")), *sorted((tree / paths.SHARDS).glob("*"))]
        outs += [tree / paths.CLIPS, tree / paths.INDEX, tree / paths.REPORT, tree / paths.PREPROCESS_PAGE]
        outs += [file for file in sorted((tree / paths.STRIPS).glob("*"))]
        for file in outs:
            if file.is_file() and (_is_strip(file.name, video) or _holds(file, video)):
                name = file.relative_to(tree).as_posix() if tree == here else f"{tree.name}: {file.relative_to(tree)}"
                yield Copy("work tree", str(file), name, file.stat().st_size, md5_file(file))


def _in_persons(video: str) -> Iterator[Copy]:
    """Libraries of footage of which it is a part, by hash, and networks adapted with them."""
    if row := withdrawals.read().get(video):
        for tree in work_trees():
            for place in persons.copies(row, tree):
                held = [file for file in place.rglob("*") if file.is_file()] if place.is_dir() else [place]
                name = place.relative_to(tree).as_posix()
                yield Copy("person's library", str(place), name, sum(file.stat().st_size for file in held))


def _in_units(video: str) -> Iterator[Copy]:
    """Finished units of the cache, by their contents."""
    for unit in sorted((paths.cache() / "units").glob("*/*/*")):
        files = [file for file in sorted(unit.rglob("*")) if file.is_file()]
        if any(_holds(file, video) or _has_row(file, video) for file in files):
            size = sum(file.stat().st_size for file in files)
            yield Copy("unit cache", str(unit), f"{unit.parents[1].name}/{unit.name}", size)


def _in_trainings(video: str) -> Iterator[Copy]:
    """States and experiments, except those of a work tree's index without the video."""
    clean = set(_clean_trainings(video))
    for stage in ("train", "expert", "motion", "inside", "experiments"):
        for training in sorted((paths.cache() / stage).glob("*")):
            if training.name not in clean:
                size = sum(file.stat().st_size for file in training.rglob("*") if file.is_file())
                yield Copy("training state", str(training), f"{stage}/{training.name}", size)


def _clean_trainings(video: str) -> Iterator[str]:
    """Folder names of trainings on an index without the video."""
    from tasks.expert.stage import expert_key  # torch takes seconds to import
    from tasks.inside.stage import inside_keys
    from tasks.motion.stage import motion_key
    from tasks.train.state import training_key

    for tree in work_trees():
        if (tree / paths.INDEX).is_file() and not _holds(tree / paths.INDEX, video):
            with contextlib.chdir(tree):
                p = config.load(paths.PARAMS)
                yield from (training_key(p), expert_key(p), motion_key(p), *inside_keys(p), md5_file(paths.INDEX))


def _in_store(store: DvcStore, video: str, checked: dict[str, bool]) -> Iterator[Copy]:
    objects = store.objects()
    folders = {
        md5: dvc_cache.listed_by(store.fs.cat_file(path)) for md5, path in objects.items() if md5.endswith(".dir")
    }
    bad = {md5 for entries in folders.values() for name, md5 in entries.items() if _is_strip(name, video)}
    unseen = [md5 for md5 in objects if md5 not in checked and md5 not in folders]
    for md5 in progress(unseen, f"reading {store.name}", "object"):
        with store.open(objects[md5]) as file:
            checked[md5] = holds(file, video)
    bad |= {md5 for md5, held in checked.items() if held}
    bad |= {folder for folder, entries in folders.items() if bad & set(entries.values())}
    for md5 in sorted(bad & objects.keys()):
        yield Copy(store.name, objects[md5], md5, store.size(objects[md5]), md5.removesuffix(".dir"), store)
    for path, entry in sorted(store.runs().items()):
        named = {out.get("md5") for out in entry.get("outs", [])} | {dep.get("md5") for dep in entry.get("deps", [])}
        if named & bad:
            name = path.rsplit("/", 1)[-1]
            yield Copy(f"run-cache of {store.name}", path, name, store.size(path), "", store)


def _in_bucket(store: DvcStore, video: str) -> Iterator[Copy]:
    for path in progress(store.files(), f"reading {store.name}", "object"):
        with store.open(path) as file:
            held = holds(file, video)
        if held:
            yield Copy(store.name, path, path.removeprefix(f"{store.root}/"), store.size(path), "", store)


def _is_strip(name: str, video: str) -> bool:
    return name.endswith(".png") and f"-{video}-" in name


def _holds(path: Path, video: str) -> bool:
    with path.open("rb") as file:
        return holds(file, video)


def _has_row(path: Path, video: str) -> bool:
    """Whether a unit's rows contain the video."""
    if path.suffix != ".json":
        return False
    return _name(json.loads(path.read_text()), video)


def _name(rows: object, video: str) -> bool:
    return isinstance(rows, list) and any(isinstance(row, dict) and row.get("video") == video for row in rows)
