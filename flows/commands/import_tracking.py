"""`import-tracking`: import a run that was tracked without MLflow, for example on another machine."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    parser = command(
        commands,
        "import-tracking",
        "import a run tracked with LIPGAN_TRACKING=jsonl into MLflow",
        run,
        example="lipgan import-tracking .cache/tracking/train-1a2b3c4d",
    )
    parser.add_argument("folder", type=Path, help="the run's folder, which contains about.json and metrics.jsonl")


def run(args: argparse.Namespace) -> None:
    from tasks.core.progress import say
    from tasks.tracking import import_run

    say(import_run.run(args.folder))
