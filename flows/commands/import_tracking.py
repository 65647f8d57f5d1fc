"""`import-tracking`: a run tracked without MLflow, on another machine say, is taken into its store."""

import argparse
import sys
from pathlib import Path
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    taken = command(
        commands,
        "import-tracking",
        "a run tracked with LIPGAN_TRACKING=jsonl -> a run of MLflow",
        run,
        example="python -m flows import-tracking .cache/tracking/train-1a2b3c4d",
    )
    taken.add_argument("folder", type=Path, help="the run's folder, with about.json and metrics.jsonl in it")


def run(args: argparse.Namespace) -> None:
    from tasks.tracking import import_run

    sys.stderr.write(import_run.run(args.folder) + "\n")
