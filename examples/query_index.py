"""What was kept, minutes per split, and what was refused and why: one query of data/index.parquet.

    python -m examples.query_index              in a project folder, after `dvc repro preprocess`

The index has one row for every clip that came in, kept or refused. pyarrow is all that is needed to read it; pandas,
Polars and DuckDB read it as well. What the columns mean is in tasks/storage/index.py.
"""

import sys
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

COLUMNS = ["clip", "split", "status", "reason", "detail", "duration_s"]


def main(path: Path) -> None:
    table = pq.read_table(path, columns=COLUMNS)
    kept = table.filter(pc.field("status") == "kept")
    refused = table.filter(pc.field("status") == "refused").sort_by([("reason", "ascending"), ("clip", "ascending")])

    print(f"{len(table)} clips came in: {len(kept)} kept, {len(refused)} refused\n")
    print("split    clips  minutes")
    by_split = kept.group_by("split").aggregate([([], "count_all"), ("duration_s", "sum")])
    for split in by_split.sort_by("split").to_pylist():
        print(f"{split['split']:8} {split['count_all']:5} {split['duration_s_sum'] / 60:8.2f}")

    print("\nrefused  reason")
    by_reason = refused.group_by("reason").aggregate([([], "count_all")])
    for reason in by_reason.sort_by("reason").to_pylist():
        print(f"{reason['count_all']:7}  {reason['reason']}")
    print()
    for row in refused.to_pylist():
        print(f"{row['clip']}: {row['reason']}, {row['detail']}")


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or ["data/index.parquet"]))
