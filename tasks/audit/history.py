"""Lineage queries over the git history: where a clip or video was used, and how a checkpoint was made.

They read git and DVC's cache: every commit that changed dvc.lock, on any branch, and the index that it lists by hash.
Results are kept in .cache/lineage-3.db (sqlite), because commits, locks and indexes never change. Commits whose index
is not in the cache are reported as unanswered.
"""

import contextlib
import functools
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from tasks.core import files, names, paths, programs
from tasks.core.errors import UserError
from tasks.core.progress import progress
from tasks.provenance import dvc_cache, dvc_lock, git_revision, training_record, withdrawals
from tasks.storage import table_rows

SCHEMA = """
CREATE TABLE IF NOT EXISTS locks (blob TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS hashes (blob TEXT, path TEXT, digest TEXT, PRIMARY KEY (blob, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS indexes (digest TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS clips (clip TEXT, digest TEXT, video TEXT, split TEXT, status TEXT, shard TEXT,
    PRIMARY KEY (clip, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (digest TEXT, split TEXT, number INT, PRIMARY KEY (digest, split)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS clips_by_video ON clips (video);
"""
COLUMNS = ("video", "split", "status", "shard")
OF_MESH = (paths.MOTION, paths.INSIDE)  # the networks of the mesh generator
CHECKPOINTS = (paths.GENERATOR, paths.DISCRIMINATORS, *OF_MESH)
FOLLOWED = (paths.RAW, paths.CLIPS, paths.SHARDS, paths.INDEX, *CHECKPOINTS)
MAX_NAMED = 3  # clips or videos suggested by an error
RELEASED = tuple(f"released/{name}.safetensors" for name in ("motion", "inside", "lips", "generator", "expert"))


@dataclass(frozen=True, slots=True)
class CommitRange:
    """Consecutive commits, newest first, with the same answer."""

    newest: str
    oldest: str
    num_commits: int
    answer: dict[str, Any]

    def line(self) -> str:
        commits = self.newest[:12] if self.num_commits == 1 else f"{self.oldest[:12]}..{self.newest[:12]}"
        words = {name: ", ".join(value) if isinstance(value, list) else value for name, value in self.answer.items()}
        answer = "; ".join(f"{name} {value}" for name, value in words.items() if value != "")
        return f"{commits} ({self.num_commits}): {answer}"


@dataclass(frozen=True, slots=True)
class HistoryAnswer:
    """The answer over the whole history; `unknown`: commits whose index is not in DVC's cache."""

    question: str
    spans: list[CommitRange]
    unknown: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        """A line per range of commits, newest first, and one for the unanswered commits."""
        lines = [f"{self.question}, newest first:", *(f"  {span.line()}" for span in self.spans)]
        if self.unknown:
            some = ", ".join(commit[:12] for commit in self.unknown[:3])
            lines.append(
                f"  {len(self.unknown)} commits cannot be answered ({some}, ...): their index is not in DVC's cache"
                + ("; `dvc fetch --all-commits data/index.parquet`" if dvc_cache.has_remote(Path()) else "")
                + "; or it was purged"
            )
        return "\n".join(lines)


@contextlib.contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """The database, brought up to date with the repository.  Errors: UserError outside a git repository."""
    if not git_revision.commit():
        raise UserError("no git history here; run in the repository whose history is queried")
    file = paths.cache() / "lineage-3.db"
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(file, timeout=60)) as db:
        db.executescript(SCHEMA)
        with db:
            _read_locks(db, sorted(set(dvc_lock.history().values())))
            _read_indexes(db)
        yield db


def _read_locks(db: sqlite3.Connection, blobs: Sequence[str]) -> None:
    known = {blob for (blob,) in db.execute("SELECT blob FROM locks")}
    missing = [blob for blob in blobs if blob not in known]
    if not missing:
        return
    locks = dvc_lock.locks(missing)
    for blob, lock in zip(progress(missing, "reading locks", "commit"), locks, strict=True):
        rows = [(blob, str(path), digest) for path in FOLLOWED if (digest := dvc_lock.out(lock, path))]
        db.executemany("INSERT OR IGNORE INTO hashes VALUES (?, ?, ?)", rows)
        db.execute("INSERT OR IGNORE INTO locks VALUES (?)", (blob,))


def _read_indexes(db: sqlite3.Connection) -> None:
    """Read the indexes that are listed in locks and not read yet; those missing in the cache are tried again later."""
    missing = db.execute(
        "SELECT DISTINCT digest FROM hashes WHERE path = ? AND digest NOT IN (SELECT digest FROM indexes)",
        (str(paths.INDEX),),
    ).fetchall()
    for (digest,) in progress(missing, "reading indexes", "index") if missing else ():
        place = dvc_cache.cached(digest) or withdrawals.redacted(digest)
        if place.is_file():
            table = table_rows.of_file(place, ("clip", *COLUMNS))
            rows = zip(table.column("clip"), repeat(digest), *map(table.column, COLUMNS))
            db.executemany(
                "INSERT OR IGNORE INTO clips VALUES (?, ?, ifnull(?, ''), ifnull(?, ''), ?, ifnull(?, ''))", rows
            )
            counted = Counter(table.where(status="kept").column("split"))
            db.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?, ?)", ((digest, *each) for each in counted.items()))
            db.execute("INSERT INTO indexes VALUES (?)", (digest,))


def of_clips(column: str, name: str) -> HistoryAnswer:
    """The location of a clip (`column` "clip") or all clips of a video ("video"), commit by commit.

    Errors: UserError if no index of the history has it.
    """
    assert column in ("clip", "video")
    with opened() as db:
        known = {digest for (digest,) in db.execute("SELECT digest FROM indexes")}
        rows: dict[str, list[tuple[str, ...]]] = {}
        for digest, *row in db.execute(
            f"SELECT digest, split, status, shard FROM clips WHERE {column} = ? ORDER BY clip", (name,)
        ):
            rows.setdefault(digest, []).append(tuple(row))
        by_lock = _hashes(db)

        def answer(blob: str) -> dict[str, Any] | None:
            hashes = by_lock.get(blob, {})
            digest = hashes.get(str(paths.INDEX), "")
            if digest and digest not in known:
                return None
            clips = rows.get(digest, [])
            kept = [row for row in clips if row[1] == "kept"]
            if not clips:
                return {"answer": "not in it", "index": digest[:12]}
            return {
                "clips": len(clips),
                "refused": len(clips) - len(kept) or "",
                "split": ", ".join(sorted({split for split, _, _ in clips})),
                "shards": sorted({shard for _, _, shard in kept}),
                "index": digest[:12],
                "checkpoint": hashes.get(str(paths.GENERATOR), "")[:12],
                "trained on it": "yes" if any(split == "train" for split, _, _ in kept) else "no",
                "bytes": bytes_left(hashes, {shard for _, _, shard in kept}),
            }

        spans, unknown = _spans(answer)
    if not rows and not unknown:
        raise UserError(
            f"--{column} {name}: no index in the history of this repository has it; {named_like(column, name)}"
        )
    return HistoryAnswer(f"{column} {name}", spans, unknown)


def named_like(column: str, name: str) -> str:
    """What a user who mistyped a clip or video may have meant."""
    with opened() as db:
        known = [each for (each,) in db.execute(f"SELECT DISTINCT {column} FROM clips ORDER BY {column}")]
    if not known:
        return f"no index is in DVC's cache; `dvc fetch --all-commits {paths.INDEX}`"
    near = names.similar(name, known, MAX_NAMED) or known[:MAX_NAMED]
    return f"for example {', '.join(near)}; {paths.INDEX} lists all"


def bytes_left(hashes: dict[str, str], names: set[str]) -> str:
    """The shards with these names, raw or processed, that are still in DVC's cache here."""
    left = []
    for folder in (str(paths.RAW), str(paths.SHARDS)):
        md5s = _files_of(hashes.get(folder, ""))
        left += [f"{folder}/{name}" for name in sorted(names & md5s.keys()) if dvc_cache.place(md5s[name]).is_file()]
    return ", ".join(left) or "none in DVC's cache"


@functools.lru_cache(maxsize=4096)
def _files_of(digest: str) -> dict[str, str]:
    return dvc_cache.files_of(digest) or {}


def of_checkpoint(which: str) -> HistoryAnswer:
    """The commits with a checkpoint, or with the weights released with the code, and the training of either.

    which   a file, or the beginning of an md5

    Errors: UserError if no commit has it.
    """
    md5 = files.md5_file(Path(which)) if Path(which).is_file() else which.lower()
    if len(md5) < 6 or not set(md5) <= set("0123456789abcdef"):
        raise UserError(f"--checkpoint {which}: no such file, and not six digits or more of an md5 either")
    with opened() as db:
        by_lock = _hashes(db)
        digests = [digest for (digest,) in db.execute("SELECT digest FROM indexes").fetchall()]
        content = {digest: _clips_by_split(db, digest) for digest in digests}

    def answer(blob: str) -> dict[str, Any] | None:
        hashes = by_lock.get(blob, {})
        file = next((path for path in map(str, CHECKPOINTS) if hashes.get(path, "").startswith(md5)), "")
        index_md5 = hashes.get(str(paths.INDEX), "")
        clips = content.get(index_md5, "not in DVC's cache")
        return {"checkpoint": hashes[file], "file": file, "index": index_md5, "clips": clips} if file else {}

    spans, _ = _spans(answer)
    spans = [_with_training(span) for span in spans if span.answer]
    spans = spans or [span for path in RELEASED for span in _released(path, md5)]
    if not spans:
        raise UserError(f"--checkpoint {which}: no commit of this repository names md5 {md5}")
    return HistoryAnswer(f"checkpoint {md5}", spans, [])


def _released(path: str, md5: str) -> list[CommitRange]:
    """The commits that released the weights with this md5, the newest one's JSON telling how they were trained."""
    commits = (programs.git("log", "--all", "--format=%H", "--", path) or "").split()
    contents = programs.git_contents([f"{commit}:{path}" for commit in commits]) if commits else []
    with_it = [
        (commit, full)
        for commit, content in zip(commits, contents, strict=True)
        if content is not None and (full := hashlib.md5(content).hexdigest()).startswith(md5)
    ]
    if not with_it:
        return []
    newest, full = with_it[0]
    about = json.loads(programs.git_contents([f"{newest}:{Path(path).with_suffix('.json')}"])[0] or b"{}")
    training = about.get("command", "no record in the commit")
    facts = {"checkpoint": full, "file": path, "licence": about.get("licence", ""), "training": training}
    return [CommitRange(newest, with_it[-1][0], len(with_it), facts)]


def _clips_by_split(db: sqlite3.Connection, digest: str) -> str:
    query = "SELECT split, number FROM kept WHERE digest = ? ORDER BY split"
    return ", ".join(f"{number} {split}" for split, number in db.execute(query, (digest,)))


def _with_training(span: CommitRange) -> CommitRange:
    """Adds the training record of the newest commit; only the stage `train` writes one."""
    if Path(span.answer["file"]) in OF_MESH:
        return span
    content = programs.git_contents([f"{span.newest}:{paths.TRAIN_RECORD}"])[0]
    if content is None:
        return CommitRange(
            span.newest, span.oldest, span.num_commits, span.answer | {"training": "no record in the commit"}
        )
    record = training_record.load(content)
    if span.answer["checkpoint"] not in record["outs"].values():
        training = "the commit's record belongs to another checkpoint"
    else:
        commits = ", ".join(session["git_commit"][:12] for session in record["sessions"])
        dirty = " DIRTY" if any(session["changed"] for session in record["sessions"]) else ""
        libraries = ", ".join(f"{name} {version}" for name, version in record["libraries"].items())
        training = (
            f"code {commits}{dirty}, seed {record['seed']}, finished {record['finished']}, {record['machine']['cpu']} "
            f"{record['machine']['gpu'] or 'no GPU'}, {libraries}, MLflow run {record['mlflow_run'] or 'none'}"
        )
    return CommitRange(span.newest, span.oldest, span.num_commits, span.answer | {"training": training})


def _hashes(db: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Blob of a lock -> path -> hash."""
    by_lock: dict[str, dict[str, str]] = {}
    for blob, path, digest in db.execute("SELECT blob, path, digest FROM hashes"):
        by_lock.setdefault(blob, {})[path] = digest
    return by_lock


def _spans(answer: Any) -> tuple[list[CommitRange], list[str]]:
    """(ranges of commits with equal answers, commits without an answer (None))."""
    spans: list[CommitRange] = []
    unknown = []
    for commit, blob in dvc_lock.history().items():
        of_commit = answer(blob)
        if of_commit is None:
            unknown.append(commit)
        elif spans and spans[-1].answer == of_commit:
            spans[-1] = CommitRange(spans[-1].newest, commit, spans[-1].num_commits + 1, of_commit)
        else:
            spans.append(CommitRange(commit, commit, 1, of_commit))
    return spans, unknown
