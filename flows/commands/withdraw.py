"""`withdraw`: a person leaves."""

import argparse
from datetime import date
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    withdraw = command(
        commands,
        "withdraw",
        "a person leaves: withdrawals.csv, retired checkpoints, and --purge for every copy",
        run,
        what="Write a video into withdrawals.csv and retire what saw it, or delete every copy of the withdrawn.",
        example=(
            "python -m flows withdraw --video 6330311066473698535 --reason 'asked by letter'\n"
            "dvc repro                               the shards that held it, made anew without it\n"
            "python -m flows withdraw --purge        lists every copy: caches, run-cache, remotes\n"
            "python -m flows withdraw --purge --yes  deletes them, and leaves a signed tombstone"
        ),
    )
    withdraw.add_argument("--video", help="id, as in column `video` of data/index.parquet")
    withdraw.add_argument("--reason", help="as the person gave it, or: no reason given")
    withdraw.add_argument("--date", type=date.fromisoformat, default=date.today(), help="default: today")
    withdraw.add_argument("--purge", action="store_true", help="list every copy of what is withdrawn")
    withdraw.add_argument("--yes", action="store_true", help="with --purge: delete them")
    withdraw.add_argument("--originals", action="store_true", help="with --purge: the videos in corpus.folder too")


def run(args: argparse.Namespace) -> None:
    from tasks.core import config, paths
    from tasks.core.errors import UserError
    from tasks.withdrawal import purge

    if args.purge == bool(args.video) or bool(args.video) != bool(args.reason):
        raise UserError("withdraw: say --video and --reason, or --purge; see `python -m flows withdraw --help`")
    if args.purge:
        purge.purge(config.load(paths.PARAMS), yes=args.yes, originals=args.originals)
    else:
        purge.withdraw(args.video, args.reason, args.date.isoformat())
