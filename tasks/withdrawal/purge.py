"""Withdrawal of a video: its row, the marks on every checkpoint trained on it, and the deletion of every copy.

    python -m flows withdraw --video ID --reason TEXT      adds the row and marks the checkpoints in MLflow
    python -m flows withdraw --purge                       lists all copies of withdrawn videos
    python -m flows withdraw --purge --yes                 deletes them and writes tombstones/<video>.json

Objects that contain other clips too (a shard has many) are deleted whole: `dvc repro` rebuilds them without the video.
"""

import datetime
import getpass
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from model.params import Params
from tasks.core import files, names, paths, programs
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.persons import withdraw as persons
from tasks.provenance import dvc_cache, dvc_lock, tombstones, withdrawals
from tasks.provenance.dvc_cache import DvcStore
from tasks.storage import index, table_rows
from tasks.storage.index import Row
from tasks.storage.table_rows import Rows
from tasks.tracking import registry
from tasks.withdrawal import copies
from tasks.withdrawal.copies import Copy

MAX_NAMED = 3  # videos suggested by an error
BLANK = {"text": "", "words": None, "source": ""}
Of = tuple[str, str, list[Row]]  # a commit, the md5 of one of its tables, and the rows of a video in that
COLUMNS = ["clip", "video", "split", "status", "source_sha256"]
UNLEARN = (
    "Weights cannot unlearn: a checkpoint trained on this video keeps what it learned from it. Such checkpoints are "
    "retired, not deleted; the next `dvc repro` trains one without it."
)


def withdraw(video: str, reason: str, date: str) -> None:
    """Add a video's row to withdrawals.csv, and mark every checkpoint trained on it.

    Errors: UserError for an id that is neither in the tables here nor in those of any commit.
    """
    tables = list(history(video))
    rows = [row for _, _, of_video in tables for row in of_video]
    of_persons = persons.ids()
    if not rows and video not in (known := {*videos(), *withdrawals.read(), *of_persons}):
        near = ", ".join(names.similar(video, sorted(known), MAX_NAMED, cutoff=0.5)) or "no similar id"
        raise UserError(f"--video: no commit has a clip of {video!r}; known: {near}")
    hashes = {row["source_sha256"] or "" for row in rows} | of_persons.get(video, set())
    row = withdrawals.add(video, date, reason, hashes)
    say(f"withdraw: {paths.WITHDRAWALS}: {row.video}, {row.date}; commit this file")
    say(f"withdraw: {mark(video, tables)}")
    for line in persons.apply(row):
        say(f"withdraw: {line}")
    say(f"withdraw: {UNLEARN}")
    say("withdraw: next: `dvc repro`, then `python -m flows withdraw --purge` for the copies in caches and remotes")


def mark(video: str, tables: Iterable[Of]) -> str:
    """Retire every checkpoint trained on an index with a kept clip of the video; returns a summary line."""
    indexes = {md5 for _, md5, rows in tables if index.kept(rows)}
    return registry.retire(video, indexes)


def history(video: str) -> Iterator[Of]:
    """The video's rows in the clip table and index of every commit, if their bytes or redacted copies are here."""
    seen = dict[str, list[Row]]()
    for commit, md5, place in _tables():
        if md5 not in seen:
            seen[md5] = list(table_rows.of_file(place, COLUMNS).where(video=video)) if place else []
        yield commit, md5, seen[md5]


def videos() -> set[str]:
    """Those of all tables."""
    places = {md5: place for _, md5, place in _tables() if place}
    return {video for place in places.values() for video in table_rows.of_file(place, ["video"]).column("video")}


def _tables() -> Iterator[tuple[str, str, Path | None]]:
    """(commit, md5, file) of the clip table and index of the work tree and of every commit."""
    tables = (paths.CLIPS, paths.INDEX)
    yield from (("work tree", files.md5_file(table), table) for table in tables if table.is_file())
    for commit, outs in dvc_lock.outs_by_commit():
        for md5 in filter(None, (outs.get(str(table)) for table in tables)):
            copies = (dvc_cache.place(md5), withdrawals.redacted(md5))
            yield commit, md5, next((path for path in copies if path.is_file()), None)


def state(video: str, p: Params) -> dict[str, Any]:
    """For the audit: commits that still list the video, remaining copies, and tombstones with their validity."""
    commits = {commit for commit, _, rows in history(video) if index.kept(rows)}
    return {
        "video": video,
        "withdrawn": withdrawals.read().get(video),
        "commits": sorted(commits - {"work tree"}),
        "left": copies.find(video, copies.everywhere(p)),
        "originals": copies.originals(video, [], p),
        "tombstones": tombstones.read(video),
    }


def proof(video: str, p: Params) -> tuple[list[str], bool]:
    """The lines of `audit --video` for a withdrawn video, and whether its erasure is complete and proven."""
    found, row = state(video, p), withdrawals.read()[video]
    left = [f"  {copy.kind}: {copy.name}" for copy in found["left"]]
    stones = found["tombstones"]
    signed = [f"{stone['file']}: {len(stone['removed'])} objects deleted {stone['purged']}" for stone in stones]
    lines = [
        f"withdrawn {row.date}; {len(found['commits'])} commits still list it",
        f"{len(left)} copies are left; `python -m flows withdraw --purge --yes` deletes them"
        if left
        else "no copy is left in caches, remotes and work trees",
        *left,
        *(
            f"{line}, signature {'valid' if stone['valid'] else 'INVALID'}"
            for line, stone in zip(signed, stones, strict=True)
        ),
        *(f"the video itself is still in the corpus: {file}" for file in found["originals"]),
        *([UNLEARN] if found["commits"] else []),
    ]
    return lines, not left and all(stone["valid"] for stone in stones)


def purge(p: Params, *, yes: bool, originals: bool) -> None:
    """List, or with `yes` delete, every copy of every withdrawn video.  Errors: UserError if one is left"""
    rows = withdrawals.read()
    if not rows:
        raise UserError(f"{paths.WITHDRAWALS}: nothing is withdrawn; start with `withdraw --video ID --reason TEXT`")
    places, search = copies.everywhere(p), copies.Search(rows)
    for video, row in sorted(rows.items()):
        left = copies.find(video, places, search)
        sources = copies.originals(video, row.source_sha256.split(), p)
        if originals:
            left += [Copy("original", str(f), str(f), f.stat().st_size, files.md5_file(f)) for f in sources]
        _report(video, left, [] if originals else sources, p)
        if yes:
            persons.apply(row)  # of a withdrawal that came by git
        if yes and left:
            _delete(video, row, left, places, search)
    if not yes:
        say("withdraw: nothing was deleted; add --yes to delete what is listed")


def _report(video: str, left: list[Copy], sources: list[Path], p: Params) -> None:
    for copy in left:
        say(f"  {copy.kind:24} {copy.size:>12,} bytes  {copy.name}")
    total = ", ".join(f"{kind} {number}" for kind, number in Counter(copy.kind for copy in left).items())
    say(f"withdraw: {video}: {total or 'no copy is left'}")
    if sources:
        say(f"withdraw: {video}: the original stays: {', '.join(map(str, sources))}; --originals deletes it too")
    if archives := {"lrs2": p.corpus.lrs2.folder, "grid": p.corpus.grid.folder}.get(p.corpus.name):
        say(f"withdraw: {video}: the archives of {p.corpus.name} in {archives} are not changed; delete what shows them")


def _delete(
    video: str, row: withdrawals.Withdrawal, found: list[Copy], places: list[DvcStore], search: copies.Search
) -> None:
    tables = list(history(video))
    commits = sorted({commit for commit, _, rows in tables if index.kept(rows)})
    say(f"withdraw: {mark(video, tables)}")
    stone = {
        "withdrawn": {"date": row.date, "reason": row.reason},
        "purged": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "by": programs.git("config", "user.name") or getpass.getuser(),
        "commits": [commit for commit in commits if commit != "work tree"],
        "removed": [
            {"kind": copy.kind, "name": copy.name, "bytes": copy.size} | ({"md5": copy.md5} if copy.md5 else {})
            for copy in found
        ],
        "picture_folders": registry.delete_pictures(_shown(tables)),
        "weights": UNLEARN,
    }
    path = tombstones.write(video, stone)  # before the deletion: after an interruption the next run deletes the rest
    for copy in found:
        _redact(copy)
    for copy in found:
        if copy.store:
            copy.store.delete(copy.place)
        elif (place := Path(copy.place)).is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    if left := copies.find(video, places, search):
        raise UserError(f"{video}: {len(left)} copies appeared during the deletion; stop `dvc repro` and purge again")
    say(f"withdraw: {video}: deleted {len(found)} copies, none is left; {path}: commit it. {UNLEARN}")


def _redact(copy: Copy) -> None:
    """Keep what lineage needs of a deleted table: clips, shards and hashes, without words and file names."""
    if not copy.store or not copy.md5 or withdrawals.redacted(copy.md5).is_file():
        return
    withdrawn = withdrawals.read()
    with copy.store.open(copy.place) as file:
        if file.read(4) != b"PAR1":
            return
        file.seek(0)
        table = pq.ParquetFile(file).read()
    rows = (row | (BLANK if row["video"] in withdrawn else {}) for row in map(dict, Rows(table)))
    index.write(withdrawals.redacted(copy.md5), rows, table.schema)  # which takes of a row what it has columns for


def _shown(tables: Iterable[Of]) -> set[str]:
    """Indexes with the video in a split whose pictures training and evaluation log."""
    return {
        md5 for _, md5, rows in tables if any(row["split"] not in ("train", "pretrain") for row in index.kept(rows))
    }
