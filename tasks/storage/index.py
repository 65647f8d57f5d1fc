"""The two tables: data/clips.parquet (what came in) and data/index.parquet (what became of it).

One row for every clip that came in, kept or refused by name. Sorted by clip, zstd, no dates: same rows, same bytes.
"""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.ipc
import pyarrow.parquet as pq

from tasks.core.errors import REASONS, UserError
from tasks.core.files import all_or_nothing

CAME_IN = [
    ("clip", pa.string()),  # <part>/<video>/<clip>
    ("video", pa.string()),  # what is withdrawn or split as one: a programme, a speaker, a file
    ("split", pa.string()),
    ("corpus", pa.string()),
    ("licence", pa.string()),
    ("source", pa.string()),  # where it came from: file in the folder, or how it was made
    ("source_sha256", pa.string()),  # of the bytes of the video as it came
    ("text", pa.string()),  # words, upper case, if known
    ("status", pa.string()),  # kept | refused
    ("reason", pa.string()),  # a word of tasks.core.errors.REASONS, or empty
    ("detail", pa.string()),
    ("shard", pa.string()),  # file name; empty when refused
    ("offset", pa.int64()),
    ("size", pa.int64()),
    ("member_sha256", pa.string()),  # of the clip's bytes in the shard
]
CLIPS_SCHEMA = pa.schema(
    [
        *CAME_IN,
        ("part", pa.string()),  # of a corpus that comes in parts: the one the clip's video begins in
        ("member", pa.string()),  # the video's name in the archive
        ("bytes", pa.int64()),  # of the video
        ("confidence", pa.float64()),  # of the text, as the corpus gives it
    ]
)
INDEX_SCHEMA = pa.schema(
    [
        *CAME_IN,
        ("case", pa.string()),  # label of a synthetic clip: clean, music, profile, ...
        ("num_frames", pa.int64()),
        ("duration_s", pa.float64()),
        ("found_share", pa.float64()),  # of the frames, those in which the detector saw the face
        ("found", pa.binary()),  # T bits, numpy.packbits: those frames, so that an epoch is drawn without a shard read
        ("closed", pa.binary()),  # likewise, those of them in which the mouth is the most closed
        ("face_px", pa.float64()),  # median width of the detector's box in the frame
        ("num_faces", pa.int64()),  # in the first frame that has one
        ("jump", pa.float64()),  # furthest move of the box in one frame, in its widths
        ("yaw_deg", pa.float64()),  # median of how far the head is turned, to either side: an estimate
        ("black_share", pa.float64()),  # of the frames, those that show nothing
        ("frozen_share", pa.float64()),  # of the frames, those that are the one before
        ("cut_change", pa.float64()),  # largest mean change from frame to frame, of full scale
        ("sound_db", pa.float64()),  # 95th percentile of the frames' loudness, dB of full scale
        ("spread_db", pa.float64()),  # 95th above 10th percentile of it: low with music or noise
        ("steady_db", pa.float64()),  # steady tones in all of the sound: 0 is music alone, speech about -12
        ("clipped_share", pa.float64()),  # of the samples, those at full scale
        ("length_diff_s", pa.float64()),  # sound longer than pictures
        ("av_offset", pa.int64()),  # frames the sound came later than the mouth, as measured
        ("av_confidence", pa.float64()),  # of that: below quality.sync_confidence it says nothing
        ("av_moved", pa.int64()),  # frames the sound was moved forward to mend it
        ("av_left", pa.int64()),  # av_offset measured again after that
        ("flags", pa.string()),  # words of tasks.preprocess.gates.FLAGS, with commas between
        ("algorithms", pa.string()),  # versions of ours that decide the bytes
    ]
)


ROW_GROUP = 1 << 13  # rows; larger ones take more memory, smaller ones more readings of what waits on disk
AT_ONCE = 1000  # rows that are in memory as dicts


def write(path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Rows may come one by one, in any order: a row group is in memory and the names of all; the rest waits on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _freed_at_once(), tempfile.TemporaryFile(dir=path.parent) as waiting:
        order = _spill(waiting, rows, schema)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        came = pa.ipc.open_file(waiting)
        with all_or_nothing(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as file:
            for start in range(0, max(1, len(order)), ROW_GROUP):
                file.write_table(_ranked(came, rank, start))


@contextmanager
def _freed_at_once() -> Iterator[None]:
    """Arrow's own allocator would keep what was freed: 30 MB more for a table of 144,000 rows."""
    usual = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(usual)


def _spill(waiting: IO[bytes], rows: Iterable[dict[str, Any]], schema: pa.Schema) -> np.ndarray:
    """Write the rows as they come; return the order of their names."""
    names = [pa.array([], pa.string())]
    coming = iter(rows)
    with pa.ipc.new_file(waiting, schema) as file:
        while some := list(itertools.islice(coming, AT_ONCE)):
            for row in some:
                assert (row["status"] == "refused") == (row["reason"] in REASONS), row
            batch = pa.RecordBatch.from_pylist(some, schema)
            names.append(batch["clip"])
            file.write_batch(batch)
    return pa.compute.sort_indices(pa.chunked_array(names)).to_numpy()


def _ranked(came: pa.ipc.RecordBatchFileReader, rank: np.ndarray, start: int) -> pa.Table:
    """The rows of one row group, in order. Every batch may hold some of them: the rows come sorted by shard."""
    parts, ranks, first = [came.schema.empty_table()], [], 0
    for number in range(came.num_record_batches):
        batch = came.get_batch(number)
        of_batch = rank[first : first + len(batch)]
        chosen = np.flatnonzero((of_batch >= start) & (of_batch < start + ROW_GROUP))
        parts.append(pa.Table.from_batches([batch.take(pa.array(chosen))]))
        ranks.append(of_batch[chosen])
        first += len(batch)
    order = np.argsort(np.concatenate(ranks)) if ranks else np.zeros(0, np.int64)
    return pa.concat_tables(parts).take(pa.array(order)).combine_chunks()


def read(path: Path) -> list[dict[str, Any]]:
    try:
        return pq.read_table(path).to_pylist()
    except FileNotFoundError:
        raise UserError(f"{path}: no such table; run `dvc repro`") from None
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a clip table ({error}); run `dvc checkout`") from error


def values(path: Path, column: str) -> list[str]:
    """What a column of text holds, each once, sorted; nothing where there is no such table."""
    if not path.is_file():
        return []
    return sorted(pa.compute.unique(pq.read_table(path, columns=[column])[column]).to_pylist())


def kept(rows: Iterable[dict[str, Any]], split: str | None = None) -> list[dict[str, Any]]:
    return [row for row in rows if row["status"] == "kept" and split in (None, row["split"])]


def refused_by_reason(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    return dict(sorted(Counter(row["reason"] for row in rows if row["status"] == "refused").items()))


def demand_splits(rows: list[dict[str, Any]], splits: Iterable[str], where: Path) -> None:
    """UserError where nothing, or nothing of a needed split, is left."""
    why = ", ".join(f"{reason} {n}" for reason, n in refused_by_reason(rows).items())
    if not kept(rows):
        raise UserError(f"{where}: all {len(rows)} clips refused ({why}); `data/index.parquet` has a line for each")
    for split in splits:
        if not kept(rows, split):
            raise UserError(
                f"{where}: no clip in split {split}, {len(kept(rows))} in others, refused: {why or 'none'}; add "
                "videos, or change corpus.val_share and corpus.test_share"
            )
