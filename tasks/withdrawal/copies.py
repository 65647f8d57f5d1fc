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
from collections.abc import Collection, Iterable, Iterator, Sequence
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
from tasks.storage.table_rows import Rows

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


class Search:
    """Which of some videos the files here and elsewhere contain.

    A file is read once, though the work tree, the unit cache and DVC's cache have links to it, for every video and
    however often it is asked for: a purge looks for each video before the deletion and after it.
    """

    def __init__(self, videos: Iterable[str]) -> None:
        self.videos = frozenset(videos)
        self._found: dict[tuple[object, ...], frozenset[str]] = {}

    def of_file(self, path: Path) -> frozenset[str]:
        stat = path.stat()
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if key not in self._found:
            with path.open("rb") as file:
                self._found[key] = frozenset(held(file, self.videos, is_json=path.suffix == ".json"))
        return self._found[key]

    def of_object(self, store: DvcStore, md5: str, path: str) -> frozenset[str]:
        """md5: of the object's bytes, or another key that changes with them"""
        if store.is_local:
            return self.of_file(Path(path))
        if (store.root, md5) not in self._found:
            with store.open(path) as file:
                self._found[store.root, md5] = frozenset(held(file, self.videos))
        return self._found[store.root, md5]


def held(file: io.BufferedIOBase, videos: Collection[str], *, is_json: bool = False) -> set[str]:
    """The videos whose faces or words a file contains, whatever its name.  is_json: it may be the rows of a unit"""
    head = file.read(512)
    file.seek(0)
    if head[257:262] == b"ustar":
        return _in_tar(file, videos)
    if head[:4] == b"PAR1":
        return _in_table(file, videos)
    if head[:15].lower() == b"<!doctype html>":
        page = file.read()
        return {video for video in videos if _shown_by(page, video)}
    return _named_in(json.load(file)) & {*videos} if is_json else set()


def _in_tar(file: io.BufferedIOBase, videos: Collection[str]) -> set[str]:
    found: set[str] = set()
    with (
        contextlib.suppress(tarfile.ReadError),  # half a shard, of a build that was killed: what it has counts
        tarfile.open(fileobj=file, mode="r:") as tar,  # type: ignore[call-overload]
    ):
        while len(found) < len(videos) and (member := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # of a whole corpus they would stay in memory
            named = set(member.name.split("/")[-2:-1])
            if rows := tar.extractfile(member) if member.name == "rows.json" else None:  # of a packed unit
                named = _named_in(json.load(rows))
            found |= named & {*videos}
    return found


def _shown_by(page: bytes, video: str) -> bool:
    if f"{html.SHOWS}=".encode() in page:
        return html.shows(video).encode() in page
    return UNMARKED_OVERVIEW in page or f"/{video}/".encode() in page


def _in_table(file: io.BufferedIOBase, videos: Collection[str]) -> set[str]:
    table = pq.ParquetFile(file)
    if not {"video", "status", "text"} <= set(table.schema_arrow.names):
        return set()
    rows = Rows(table.read(["video", "status", "text"])).among("video", videos)
    return {row["video"] for row in rows if row["status"] == "kept" or row["text"]}


def everywhere(p: Params) -> list[DvcStore]:
    """DVC's cache, every remote, and the buckets of raw shards and finished units."""
    shared = {"shared units": os.environ.get("LIPGAN_UNITS", ""), "raw shards": p.acquire.raw}
    buckets = [dvc_cache.bucket(name, url) for name, url in shared.items() if url.startswith("s3://")]
    return [dvc_cache.cache(), *dvc_cache.remotes(), *buckets]


def find(video: str, places: Sequence[DvcStore], search: Search | None = None) -> list[Copy]:
    """All copies in the work trees, the caches, and in `places`, run-caches included.

    search: of this video and others, to read each file once for all of them
    """
    search = search or Search([video])
    copies = [*_in_work_trees(video, search), *_in_persons(video)]
    copies += [*_in_units(video, search), *_in_trainings(video, search)]
    for store in places:
        copies += _in_bucket(store, video, search) if store.plain else _in_store(store, video, search)
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


def _in_work_trees(video: str, search: Search) -> Iterator[Copy]:
    here = Path.cwd()
    for tree in work_trees():
        outs = [*sorted((tree / paths.RAW).glob("*")), *sorted((tree / paths.SHARDS).glob("*"))]
        outs += [tree / paths.CLIPS, tree / paths.INDEX, tree / paths.REPORT, tree / paths.PREPROCESS_PAGE]
        outs += [file for file in sorted((tree / paths.STRIPS).glob("*"))]
        for file in outs:
            if file.is_file() and (_is_strip(file.name, video) or video in search.of_file(file)):
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


def _in_units(video: str, search: Search) -> Iterator[Copy]:
    """Finished units of the cache, by their contents."""
    for unit in sorted((paths.cache() / "units").glob("*/*/*")):
        files = [file for file in sorted(unit.rglob("*")) if file.is_file()]
        if any(video in search.of_file(file) for file in files):
            size = sum(file.stat().st_size for file in files)
            yield Copy("unit cache", str(unit), f"{unit.parents[1].name}/{unit.name}", size)


def _in_trainings(video: str, search: Search) -> Iterator[Copy]:
    """States and experiments, except those of a work tree's index without the video."""
    stages = ("train", "expert", "motion", "inside", "experiments")
    trainings = [training for stage in stages for training in sorted((paths.cache() / stage).glob("*"))]
    clean = set(_clean_trainings(video, search)) if trainings else set()
    for training in trainings:
        if training.name not in clean:
            size = sum(file.stat().st_size for file in training.rglob("*") if file.is_file())
            yield Copy("training state", str(training), f"{training.parent.name}/{training.name}", size)


def _clean_trainings(video: str, search: Search) -> Iterator[str]:
    """Folder names of trainings on an index without the video."""
    from tasks.expert.stage import expert_key  # torch takes seconds to import
    from tasks.inside.stage import inside_keys
    from tasks.motion.stage import motion_key
    from tasks.train.state import training_key

    for tree in work_trees():
        if (tree / paths.INDEX).is_file() and video not in search.of_file(tree / paths.INDEX):
            with contextlib.chdir(tree):
                p = config.load(paths.PARAMS)
                yield from (training_key(p), expert_key(p), motion_key(p), *inside_keys(p), md5_file(paths.INDEX))


def _in_store(store: DvcStore, video: str, search: Search) -> Iterator[Copy]:
    objects = store.objects()
    folders = {
        md5: dvc_cache.listed_by(store.fs.cat_file(path)) for md5, path in objects.items() if md5.endswith(".dir")
    }
    bad = {md5 for entries in folders.values() for name, md5 in entries.items() if _is_strip(name, video)}
    for md5 in progress(objects.keys() - folders.keys(), f"reading {store.name}", "object"):
        if video in search.of_object(store, md5, objects[md5]):
            bad.add(md5)
    bad |= {folder for folder, entries in folders.items() if bad & set(entries.values())}
    for md5 in sorted(bad & objects.keys()):
        yield Copy(store.name, objects[md5], md5, store.size(objects[md5]), md5.removesuffix(".dir"), store)
    for path, entry in sorted(store.runs().items()):
        named = {out.get("md5") for out in entry.get("outs", [])} | {dep.get("md5") for dep in entry.get("deps", [])}
        if named & bad:
            name = path.rsplit("/", 1)[-1]
            yield Copy(f"run-cache of {store.name}", path, name, store.size(path), "", store)


def _in_bucket(store: DvcStore, video: str, search: Search) -> Iterator[Copy]:
    for path in progress(store.files(), f"reading {store.name}", "object"):
        if video in search.of_object(store, store.fs.ukey(path), path):  # which another run may write anew
            yield Copy(store.name, path, path.removeprefix(f"{store.root}/"), store.size(path), "", store)


def _is_strip(name: str, video: str) -> bool:
    return name.endswith(".png") and f"-{video}-" in name


def _named_in(rows: object) -> set[str]:
    """The videos of a unit's rows."""
    return {row.get("video", "") for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
