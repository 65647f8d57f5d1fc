"""`retrain` and `rollback`: what serves, and what served before."""

import argparse
import sys
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    retrain = command(
        commands,
        "retrain",
        "new data -> dvc repro -> the gate -> a branch, and a new champion if it deserves it",
        run_retrain,
        what="Train on what the corpus holds now, in a work tree of its own; what is no worse may serve.",
        example='python -m flows retrain\npython -m flows retrain --serve "0 2 * * *"     every night at two',
    )
    retrain.add_argument("--serve", metavar="CRON", help="stay, and retrain at these times; needs `make server`")
    rollback = command(
        commands,
        "rollback",
        "the champion before this one serves again",
        run_rollback,
        example='python -m flows rollback --reason "late by two frames on phones"',
    )
    rollback.add_argument("--reason", required=True, help="why; written to the version that serves no more")


def run_retrain(args: argparse.Namespace) -> None:
    from flows import retrain

    retrain.serve(args.serve) if args.serve else retrain.run()


def run_rollback(args: argparse.Namespace) -> None:
    from tasks.tracking.registry import Registry

    bad, now = Registry().rollback(args.reason)
    sys.stderr.write(f"rollback: version {bad.number} serves no more; champion: version {now.number}\n")
