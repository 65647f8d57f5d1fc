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
    batch.add_argument(
        "--allow-tts-commands", action="store_true",
        help="run the commands of the column `tts`; without it a list that has any is refused",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from flows import preflight

    preflight.run([args.jobs.absolute().parent], flow=True, signs=True, what="the videos")
    from flows import batch

    return 1 if batch.run(args.jobs, args.allow_tts_commands) else 0
