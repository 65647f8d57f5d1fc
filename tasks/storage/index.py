"""The two tables: data/clips.parquet (acquired clips) and data/index.parquet (preprocessed clips).

Each acquired clip has a row in both, kept or refused; in the index each piece of a clip has one. Sorted by clip, zstd,
no dates: the same rows give the same bytes.
"""

import itertools
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypedDict, TypeVar, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.ipc
import pyarrow.parquet as pq

from tasks.core.errors import REASONS, UserError
from tasks.core.files import all_or_nothing
from tasks.storage import table_rows
from tasks.storage.table_rows import AT_ONCE, Rows

COMMON = [  # columns of both tables
    ("clip", pa.string()),  # <part>/<video>/<clip>
    ("video", pa.string()),  # unit of withdrawals and shards: a programme, a speaker, a file
    ("person", pa.string()),  # unit of splits: no person is in two, except where split_by is not "person"
    ("split", pa.string()),
    ("split_by", pa.string()),  # person, video, clip or time: model/splits.py; corpus: as its publishers split it
    ("corpus", pa.string()),
    ("licence", pa.string()),
    ("source", pa.string()),  # file in the folder, or how it was rendered
    ("source_sha256", pa.string()),  # of the original video
    ("text", pa.string()),  # transcript, upper case, if known
    ("status", pa.string()),  # kept | refused
    ("reason", pa.string()),  # a key of tasks.core.errors.REASONS, or empty
    ("detail", pa.string()),
    ("shard", pa.string()),  # file name; empty when refused
    ("offset", pa.int64()),
    ("size", pa.int64()),
    ("member_sha256", pa.string()),  # of the clip's bytes in the shard
]
WORD = pa.struct([("word", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64())])
CLIPS_SCHEMA = pa.schema(
    [
        *COMMON,
        ("part", pa.string()),  # of a corpus in parts: the part in which the clip's video begins
        ("member", pa.string()),  # the video's name in the archive
        ("bytes", pa.int64()),  # of the video
        ("confidence", pa.float64()),  # of the transcript, as given by the corpus
        ("words", pa.list_(WORD)),  # with their times, as given by the corpus; null if it gives none
    ]
)
INDEX_SCHEMA = pa.schema(
    [
        *COMMON,
        ("case", pa.string()),  # label of a synthetic clip: clean, music, profile, ...
        ("num_frames", pa.int64()),
        ("duration_s", pa.float64()),
        ("found_share", pa.float64()),  # share of the frames in which the detector found the face
        ("found", pa.binary()),  # T bits, numpy.packbits: those frames, so that drawing an epoch reads no shard
        ("closed", pa.binary()),  # likewise: the frames among them with the most closed mouth
        ("face_px", pa.float64()),  # median width of the detector's box in the frame
        ("num_faces", pa.int64()),  # in the first frame with a face
        ("jump", pa.float64()),  # largest move of the box from one frame to the next, in box widths
        ("mesh_share", pa.float64()),  # share of the frames in which the mesh holds the face: see faces.mesh
        ("yaw_deg", pa.float64()),  # median absolute yaw of the head, by the mesh
        ("pitch_deg", pa.float64()),  # median, positive: down
        ("roll_deg", pa.float64()),  # median, positive: clockwise
        ("black_share", pa.float64()),  # share of the frames that show nothing
        ("frozen_share", pa.float64()),  # share of the frames that repeat the one before
        ("cut_change", pa.float64()),  # largest mean change from frame to frame, of full scale
        ("sound_db", pa.float64()),  # 95th percentile of the frames' loudness, dB of full scale
        ("spread_db", pa.float64()),  # difference of its 95th and 10th percentiles: low with music or noise
        ("steady_db", pa.float64()),  # steady tones relative to all audio: 0 for music alone, about -12 for speech
        ("clipped_share", pa.float64()),  # share of the samples at full scale
        ("length_diff_s", pa.float64()),  # audio longer than video
        ("av_offset", pa.int64()),  # measured delay of the audio behind the mouth, in frames
        ("av_confidence", pa.float64()),  # of av_offset; below quality.sync_confidence it is ignored
        ("av_moved", pa.int64()),  # frames by which the audio was moved earlier to correct it
        ("av_left", pa.int64()),  # av_offset measured again afterwards
        ("flags", pa.string()),  # keys of tasks.preprocess.gates.FLAGS, separated by commas
        ("algorithms", pa.string()),  # versions of our algorithms that decide the bytes
    ]
)


# person and split_by: tables of 0.1 have neither, and a retraining compares with one, an audit reads them
OPTIONAL = ("person", "split_by", "licence", "source", "source_sha256", "text")
NEEDED = {name: kind for name, kind in COMMON if name not in OPTIONAL}


class Row(TypedDict, total=False):
    """A row of either table as it is read, for mypy. A column that a refused clip lacks is None or empty."""

    clip: str
    video: str
    person: str
    split: str
    split_by: str
    corpus: str
    licence: str
    source: str
    source_sha256: str
    text: str
    status: str
    reason: str
    detail: str
    shard: str
    offset: int
    size: int
    member_sha256: str
    part: str
    member: str
    bytes: int
    confidence: float
    words: list[dict[str, Any]]
    case: str
    num_frames: int
    duration_s: float
    found_share: float
    found: bytes
    closed: bytes
    face_px: float
    num_faces: int
    jump: float
    mesh_share: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    black_share: float
    frozen_share: float
    cut_change: float
    sound_db: float
    spread_db: float
    steady_db: float
    clipped_share: float
    length_diff_s: float
    av_offset: int
    av_confidence: float
    av_moved: int
    av_left: int
    flags: str
    algorithms: str


ROW_GROUP = 1 << 13  # rows; larger groups take more memory, smaller ones more passes over the spilled rows
R = TypeVar("R", bound=Mapping[str, Any])  # a Row, or a dict that becomes one


def write(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write a table of rows in any order. Memory holds one row group and the names of all rows; the rest spills to
    disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with table_rows.system_allocator(), tempfile.TemporaryFile(dir=path.parent) as spill:
        order = _spill(spill, rows, schema)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        spilled = pa.ipc.open_file(spill)
        with all_or_nothing(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as file:
            for start in range(0, max(1, len(order)), ROW_GROUP):
                file.write_table(_row_group(spilled, rank, start))


def _spill(file: IO[bytes], rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> np.ndarray:
    """Write the rows in their given order; return the order of their names."""
    names = [pa.array([], pa.string())]
    batches = _batches(rows, schema)
    with pa.ipc.new_file(file, schema) as writer:
        while some := list(itertools.islice(batches, max(1, ROW_GROUP // AT_ONCE))):
            table = pa.Table.from_batches(some).combine_chunks()
            names += table["clip"].chunks
            writer.write_table(table)
    return pa.compute.sort_indices(pa.chunked_array(names)).to_numpy()


def _batches(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows = iter(rows)
    while some := list(itertools.islice(rows, AT_ONCE)):
        for row in some:
            assert (row["status"] == "refused") == (row["reason"] in REASONS), row
        yield pa.RecordBatch.from_pylist(some, schema)


def _row_group(spilled: pa.ipc.RecordBatchFileReader, rank: np.ndarray, start: int) -> pa.Table:
    """The rows of one row group, in order. Any batch may contain some of them, since rows arrive sorted by shard.

    So each group reads every batch: batches are as long as row groups, and there are few.
    """
    parts, ranks, first = [spilled.schema.empty_table()], [], 0
    for number in range(spilled.num_record_batches):
        batch = spilled.get_batch(number)
        of_batch = rank[first : first + len(batch)]
        chosen = np.flatnonzero((of_batch >= start) & (of_batch < start + ROW_GROUP))
        parts.append(pa.Table.from_batches([batch.take(pa.array(chosen))]))
        ranks.append(of_batch[chosen])
        first += len(batch)
    order = np.argsort(np.concatenate(ranks)) if ranks else np.zeros(0, np.int64)
    return pa.concat_tables(parts).take(pa.array(order)).combine_chunks()


def read(path: Path) -> list[Row]:
    """All rows as dicts, of a table that is short.  Errors: as `rows`"""
    return list(rows(path))


def rows(path: Path, columns: Collection[str] | None = None) -> Rows:
    """The rows, of all columns or of `clip`, `status` and these, for a table of any length.

    Errors: UserError if the file is missing, no table, or a table of other columns
    """
    return Rows(_table(path, columns))


def _table(path: Path, columns: Collection[str] | None = None) -> pa.Table:
    """The checked table: the columns that every row needs, of their types."""
    try:
        with table_rows.system_allocator(), pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            table = file.read(None if columns is None else list({"clip", "status", *columns} & {*schema.names}))
        table.validate(full=True)  # text that is not UTF-8 is no error of reading
    except FileNotFoundError:
        raise UserError(f"{path}: no such table; run `dvc repro`") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # OSError: damaged pages; of names: not UTF-8
        if isinstance(error, OSError) and error.errno:
            raise
        raise UserError(f"{path}: not a clip table ({' '.join(str(error).split())}); run `dvc checkout`") from error
    for name, kind in NEEDED.items():
        if name not in schema.names or not schema.field(name).type.equals(kind):
            found = schema.field(name).type if name in schema.names else "missing"
            raise UserError(f"{path}: not a clip table: column {name} is {found}, {kind} is expected; run `dvc repro`")
    for name in ("clip", "status"):
        if table[name].null_count:
            raise UserError(f"{path}: not a clip table: {table[name].null_count} rows have no {name}; run `dvc repro`")
    return table


def values(path: Path, column: str) -> list[str]:
    """The distinct values of a text column, sorted; empty if the table does not exist."""
    if not path.is_file():
        return []
    return sorted({*rows(path, [column]).column(column)} - {None})


@overload
def kept(rows: Rows, split: str | None = None) -> Rows: ...
@overload
def kept(rows: Iterable[R], split: str | None = None) -> list[R]: ...
def kept(rows: Any, split: str | None = None) -> Any:
    """The kept rows, of one split or all.  Errors: UserError if one of them lacks what every kept clip has"""
    chosen: Rows | list[Any]
    if isinstance(rows, Rows):
        chosen = chosen_rows = rows.where(status="kept", **({} if split is None else {"split": split}))
        bad = next(((row, name) for name in NEEDED for row in chosen_rows.without(name)[:1]), None)
    else:
        chosen = [row for row in rows if row["status"] == "kept" and split in (None, row["split"])]
        bad = next(((row, name) for row in chosen for name in NEEDED if row.get(name, "") is None), None)
    if bad:
        raise UserError(f"the clip table: the kept clip {bad[0]['clip']} has no {bad[1]}; run `dvc repro`")
    return chosen


def tested_people(rows: Iterable[Mapping[str, Any]]) -> str:
    """Who is in split test, for reports: unseen speakers, or persons that training sees too."""
    persons: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["status"] == "kept":
            persons[row["split"]].add(row.get("person") or row["video"])
    if persons["test"] & (persons["train"] | persons["pretrain"]):
        return "speakers that training sees (same person in train and test)"
    return "unseen speakers"


def refused_by_reason(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    if isinstance(rows, Rows):
        return dict(sorted(Counter(rows.where(status="refused").column("reason")).items()))
    return dict(sorted(Counter(row["reason"] for row in rows if row["status"] == "refused").items()))


def demand_splits(rows: Sequence[Mapping[str, Any]], splits: Iterable[str], where: Path) -> None:
    """Errors: UserError if no clip, or no clip of a required split, is kept."""
    why = ", ".join(f"{reason} {n}" for reason, n in refused_by_reason(rows).items())
    if not kept(rows):
        raise UserError(f"{where}: all {len(rows)} clips refused ({why}); `data/index.parquet` has a row for each")
    for split in splits:
        if not kept(rows, split):
            raise UserError(
                f"{where}: no clip in split {split}, {len(kept(rows))} in others, refused: {why or 'none'}; take the "
                "refused videos out of the corpus, so that others are held out, or add videos"
            )
