"""`batch`: dubbing jobs from a CSV."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    batch = command(
        commands,
        "batch",
        "dub every row of a CSV: face,audio,out,...",
        run,
        what="Dub every row of a CSV, several at a time (LIPGAN_WORKERS). A row that cannot be dubbed is reported at "
        "the end and stops no other (exit status 1); a second run makes only the outputs that are missing.",
        example="lipgan batch jobs.csv",
    )
    batch.add_argument("jobs", type=Path, help="CSV with a header; columns are the options of `dub`")


def run(args: argparse.Namespace) -> int:
    from flows import batch

    return 1 if batch.run(args.jobs) else 0
