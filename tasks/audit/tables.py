"""The clip table against the index: a row for every acquired clip, or for each of its pieces, with the same source."""

import sys

from tasks.core import paths
from tasks.preprocess import pieces
from tasks.storage.table_rows import Rows

COMPARED = ("source_sha256", "licence", "corpus", "split")  # columns that an index has from the clip table
AUDITED = (*COMPARED, "video", "shard", "offset", "size", "member_sha256", "duration_s")


def differences(clips: Rows, indexed: Rows) -> list[str]:
    """Findings, one line each."""
    before, after = _by_clip(clips), _by_clip(indexed)
    origin = {key: key if key in before else pieces.clip_of(key) for key in sorted(after)}
    missing = sorted(before.keys() - origin.values())
    findings = [f"{paths.INDEX}: {clip} was acquired, but has no row" for clip in missing]
    findings += [
        f"{paths.INDEX}: {key} has a row, but was never acquired" for key in origin if origin[key] not in before
    ]
    for key, clip in origin.items():
        for column, acquired, now in zip(COMPARED, before.get(clip, after[key]), after[key], strict=True):
            if acquired != now:
                findings.append(f"{paths.INDEX}: {key} has another {column} than when it was acquired")
    return findings


def _by_clip(rows: Rows) -> dict[str, tuple[str | None, ...]]:
    """The compared columns by clip; what many rows have in common is in memory once."""
    columns = [[value and sys.intern(value) for value in rows.column(name)] for name in COMPARED]
    return dict(zip(rows.column("clip"), zip(*columns, strict=True), strict=True))
