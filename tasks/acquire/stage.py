"""Stage `acquire`: a corpus -> raw shards and a clip table, with a row for every clip and refused file.

reads   the corpus: `synthetic` is rendered here (tasks/synthetic), `folder` is a folder of videos
        (tasks/acquire/folder.py), `lrs2` and the open corpora of OPEN are downloaded or read from a folder
        (tasks/acquire/lrs2.py, open_corpus.py); and withdrawals.csv: the videos in it are refused
writes  data/raw/<split>-*.tar, data/clips.parquet; if acquire.raw is s3://bucket/folder the raw shards are there, and
        data/raw has a small <shard>.json for each, which DVC tracks instead

    python -m flows acquire
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from model.params import LOCAL, Params
from tasks.acquire import folder as acquire_folder
from tasks.acquire import grid, lrs2, lrs2_fetch, split_list, splits, synthetic_clips
from tasks.acquire.open_corpus import OpenCorpus
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.provenance import withdrawals
from tasks.storage import index, shards, unit_cache
from tasks.storage.remote_shards import POINTER, send
from tasks.storage.unit_cache import Unit

OPEN: dict[str, OpenCorpus] = {"grid": grid.CORPUS}
CORPORA: dict[str, Any] = {"synthetic": synthetic_clips, "folder": acquire_folder, "lrs2": lrs2, **OPEN}


def rounds(p: Params) -> Iterator[list[str]]:
    """Names to download: those of one list in parallel, one list after the other; after each, `ready` can be built."""
    if p.corpus.name == "lrs2":
        yield from lrs2.rounds(p)
    elif corpus := OPEN.get(p.corpus.name):
        yield from corpus.rounds(p, lambda persons: all(unit.done for unit in _of_persons(corpus, p, persons)))


def download(p: Params, name: str) -> None:
    """Download one of them."""
    if corpus := OPEN.get(p.corpus.name):
        corpus.download(p, name)
    else:
        lrs2_fetch.fetch(p, name)


def ready(p: Params) -> list[Unit]:
    """Raw shards that can be built before all is downloaded, so that what they are made of can be deleted."""
    corpus = OPEN.get(p.corpus.name)
    return [unit for group in corpus.complete(p) for unit in _of_persons(corpus, p, group)] if corpus else []


def _of_persons(corpus: OpenCorpus, p: Params, persons: list[str]) -> list[Unit]:
    wanted, _ = withdrawals.leave_out(*corpus.clips(p, persons))
    listed = split_list.read(Path(p.corpus.splits), persons, corpus.params(p).speakers)
    return _units(splits.assign(wanted, p.corpus, persons=corpus.persons(p), listed=listed)[0], p)


def plan(p: Params) -> tuple[list[Unit], list[dict[str, Any]]]:
    """One unit per raw shard, and the rows of the clips that are refused without decoding.

    Errors: UserError if the corpus is missing or none of its clips can be used.
    """
    corpus = CORPORA[p.corpus.name]
    clips, unusable = corpus.clips(p)
    wanted, refused = withdrawals.leave_out(clips, unusable)
    if not wanted:
        why = ", ".join(f"{reason} {n}" for reason, n in index.refused_by_reason(refused).items()) or "it is empty"
        raise UserError(f"corpus {p.corpus.name}: no clip can be used: {why}")
    if "split" not in wanted[0]:
        file_of = partial(acquire_folder.file_of, p=p) if p.corpus.name == "folder" else None
        persons = OPEN[p.corpus.name].persons(p) if p.corpus.name in OPEN else ()
        known = {row["person"] for row in [*clips, *unusable]}
        known |= set(OPEN[p.corpus.name].params(p).speakers) if p.corpus.name in OPEN else set()
        listed = split_list.read(Path(p.corpus.splits), {clip["person"] for clip in wanted}, known)
        wanted, line = splits.assign(wanted, p.corpus, file_of, persons, listed)
        say(f"acquire: {line}")
    return _units(wanted, p, refused), [{"person": "", "split": "", "split_by": ""} | row for row in refused]


def _units(wanted: Sequence[dict[str, Any]], p: Params, refused: Sequence[dict[str, Any]] = ()) -> list[Unit]:
    """`refused` clips count for the number of shards, so that a withdrawal changes one shard alone."""
    corpus, clips = CORPORA[p.corpus.name], Counter(row.get("split", "") for row in (*wanted, *refused))
    counts = {split: shards.num_shards(count, clips[split]) for split, count in asdict(p.corpus.num_shards).items()}
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for clip in wanted:
        num_shards = counts[clip["split"]]
        groups[shards.shard_name(clip["split"], shards.shard_of(clip["video"], num_shards), num_shards)].append(clip)
    return [
        Unit(
            stage="acquire",
            name=name,
            inputs={
                "corpus": p.corpus.name,
                "clips": [clip["inputs"] for clip in sorted(group, key=lambda clip: clip["clip"])],
                **corpus.versions(),
                **({} if p.acquire.raw == LOCAL else {"raw": p.acquire.raw}),
            },
            hints={
                "folder": p.corpus.folder,
                "places": {clip["clip"]: clip["place"] for clip in group if "place" in clip},
            },
            size=len(group),
            portable=p.corpus.name == "synthetic",
        )
        for name, group in sorted(groups.items())
    ]


def build(unit: Unit, folder: Path) -> None:
    """One raw shard: shard.tar or its pointer, and rows.json with its clips' rows of the table.

    Memory holds one clip at a time; files are copied block by block.
    """
    corpus = CORPORA[unit.inputs["corpus"]]
    fetched: list[dict[str, Any]] = []

    def samples() -> Iterator[tuple[str, dict[str, bytes | shards.FileMember]]]:
        for clip in unit.inputs["clips"]:
            row, members = corpus.fetch(clip, unit.hints)
            fetched.append(row)
            yield row["clip"], members

    spans = shards.write(folder / "shard.tar", samples())
    rows = []
    for row in fetched:
        span = spans[row["clip"]]
        place = {"shard": unit.name, "offset": span.offset, "size": span.size, "member_sha256": span.sha256}
        rows.append(row | place | {"status": "kept", "reason": "", "detail": ""})
    (folder / "rows.json").write_text(json.dumps(rows))
    if "raw" in unit.inputs:
        send(folder / "shard.tar", unit.name, unit.inputs["raw"])


def release(unit: Unit) -> None:
    """Delete files that were kept only for this raw shard."""
    if unit.inputs["corpus"] == "lrs2":
        lrs2.release(unit)
    elif corpus := OPEN.get(unit.inputs["corpus"]):
        corpus.release(unit)


def collect(planned: Sequence[Unit], refused: list[dict[str, Any]], p: Params) -> str:
    """Fill data/raw and write the clip table; return one line to print."""
    ending = "" if p.acquire.raw == LOCAL else POINTER
    unit_cache.collect(planned, f"shard.tar{ending}", paths.RAW, ending)
    num_clips = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal num_clips
        for unit in planned:
            of_shard = json.loads((unit.folder / "rows.json").read_text())
            num_clips += len(of_shard)
            yield from of_shard
        yield from refused

    index.write(paths.CLIPS, rows(), index.CLIPS_SCHEMA)
    why = ", ".join(f"{reason} {n}" for reason, n in index.refused_by_reason(refused).items()) or "none"
    return f"{num_clips} clips of corpus {p.corpus.name} in {len(planned)} raw shards; refused {len(refused)} ({why})"
