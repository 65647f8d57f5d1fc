"""Withdrawal of a video: its row, the marks on every checkpoint trained on it, and the deletion of every copy.

    python -m flows withdraw --video ID --reason TEXT      adds the row and marks the checkpoints in MLflow
    python -m flows withdraw --purge                       lists all copies of withdrawn videos
    python -m flows withdraw --purge --yes                 deletes them and writes tombstones/<video>.json

Objects that contain other clips too (a shard has many) are deleted whole: `dvc repro` rebuilds them without the video.
"""

import datetime
import difflib
import getpass
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from model.params import Params
from tasks.core import files, paths, programs
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.persons import withdraw as persons
from tasks.provenance import dvc_cache, dvc_lock, tombstones, withdrawals
from tasks.provenance.dvc_cache import DvcStore
from tasks.storage import index
from tasks.tracking import registry
from tasks.withdrawal import copies
from tasks.withdrawal.copies import Copy

BLANK = {"text": "", "words": None, "source": ""}
COLUMNS = ["clip", "video", "split", "status", "source_sha256"]
UNLEARN = (
    "Weights cannot unlearn: a checkpoint trained on this video keeps what it learned from it. Such checkpoints are "
    "retired, not deleted; the next `dvc repro` trains one without it."
)


def withdraw(video: str, reason: str, date: str) -> None:
    """Add a video's row to withdrawals.csv, and mark every checkpoint trained on it.

    Errors: UserError for an id that is neither in the tables here nor in those of any commit.
    """
    tables = list(history())
    rows = [row for _, _, table in tables for row in table]
    of_persons = persons.ids()
    known = {row["video"] for row in rows} | withdrawals.read().keys() | of_persons.keys()
    if video not in known:
        near = ", ".join(difflib.get_close_matches(video, sorted(known), n=3, cutoff=0.5)) or "no similar id"
        raise UserError(f"--video: no commit has a clip of {video!r}; known: {near}")
    hashes = {row["source_sha256"] or "" for row in rows if row["video"] == video} | of_persons.get(video, set())
    row = withdrawals.add(video, date, reason, hashes)
    say(f"withdraw: {paths.WITHDRAWALS}: {row.video}, {row.date}; commit this file")
    say(f"withdraw: {mark(video, tables)}")
    for line in persons.apply(row):
        say(f"withdraw: {line}")
    say(f"withdraw: {UNLEARN}")
    say("withdraw: next: `dvc repro`, then `python -m flows withdraw --purge` for the copies in caches and remotes")


def mark(video: str, tables: Iterable[tuple[str, str, list[dict[str, Any]]]]) -> str:
    """Retire every checkpoint trained on an index with a kept clip of the video; returns a summary line."""
    indexes = {md5 for _, md5, table in tables if any(_kept(row, video) for row in table)}
    return registry.retire(video, indexes)


def history() -> Iterable[tuple[str, str, list[dict[str, Any]]]]:
    """(commit, md5, rows) of the clip table and index of every commit, if their bytes or redacted copies are here."""
    seen = dict[str, list[dict[str, Any]]]()
    for table in (paths.CLIPS, paths.INDEX):
        if table.is_file():
            yield "work tree", files.md5_file(table), _columns(table)
    for commit, outs in dvc_lock.outs_by_commit():
        for md5 in (outs.get(str(table)) for table in (paths.CLIPS, paths.INDEX)):
            if md5 and md5 not in seen:
                copies = (dvc_cache.place(md5), withdrawals.redacted(md5))
                seen[md5] = next((_columns(path) for path in copies if path.is_file()), [])
            if md5:
                yield commit, md5, seen[md5]


def state(video: str, p: Params) -> dict[str, Any]:
    """For the audit: commits that still list the video, remaining copies, and tombstones with their validity."""
    commits = {commit for commit, _, table in history() if any(_kept(row, video) for row in table)}
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
    places = copies.everywhere(p)
    for video, row in sorted(rows.items()):
        left = copies.find(video, places)
        sources = copies.originals(video, row.source_sha256.split(), p)
        if originals:
            left += [Copy("original", str(f), str(f), f.stat().st_size, files.md5_file(f)) for f in sources]
        _report(video, left, [] if originals else sources, p)
        if yes:
            persons.apply(row)  # of a withdrawal that came by git
        if yes and left:
            _delete(video, row, left, places)
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


def _delete(video: str, row: withdrawals.Withdrawal, found: list[Copy], places: list[DvcStore]) -> None:
    tables = list(history())
    commits = sorted({commit for commit, _, table in tables if any(_kept(each, video) for each in table)})
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
        "picture_folders": registry.delete_pictures(_shown(video, tables)),
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
    if left := copies.find(video, places):
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
        table = pq.read_table(file)
    rows = [row | (BLANK if row["video"] in withdrawn else {}) for row in table.to_pylist()]
    index.write(withdrawals.redacted(copy.md5), rows, table.schema)  # which takes of a row what it has columns for


def _columns(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path, columns=COLUMNS).to_pylist()
    return rows


def _shown(video: str, tables: Iterable[tuple[str, str, list[dict[str, Any]]]]) -> set[str]:
    """Indexes with the video in a split whose pictures training and evaluation log."""
    return {
        md5
        for _, md5, table in tables
        if any(_kept(row, video) and row["split"] not in ("train", "pretrain") for row in table)
    }


def _kept(row: dict[str, Any], video: str) -> bool:
    return bool(row["video"] == video and row["status"] == "kept")
