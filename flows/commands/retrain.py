"""`retrain` and `rollback`: change the model that serves."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    command(
        commands,
        "retrain",
        "train on new data; a model that passes the gate serves",
        run_retrain,
        what="Train on the present contents of the corpus in a separate work tree. The result is committed on a "
        "branch; if it is no worse than the champion, it takes its place.",
        example="lipgan retrain\nlipgan deploy      the same every night",
    )
    rollback = command(
        commands,
        "rollback",
        "make the previous champion serve again",
        run_rollback,
        example='lipgan rollback --reason "late by two frames on phones"',
    )
    rollback.add_argument("--reason", required=True, help="why; recorded with the version that is rolled back")


def run_retrain(args: argparse.Namespace) -> None:
    check()
    from flows import retrain

    retrain.once()


def check() -> None:
    """Errors: UserError for what would end a retraining later"""
    from flows import preflight
    from tasks.core import config

    corpus = config.load().corpus
    preflight.pipeline(Path(corpus.folder) if corpus.name == "folder" else None)


def run_rollback(args: argparse.Namespace) -> None:
    from tasks.core.progress import say
    from tasks.tracking.registry import Registry

    bad, now = Registry().rollback(args.reason)
    say(f"rollback: version {bad.number} serves no more; champion: version {now.number}")
