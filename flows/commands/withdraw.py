"""`withdraw`: a person withdraws consent."""

import argparse
from datetime import date
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    withdraw = command(
        commands,
        "withdraw",
        "withdraw a person; --purge deletes every copy",
        run,
        what="Add a video to withdrawals.csv and retire the checkpoints trained on it; or delete every copy of "
        "withdrawn videos.",
        example=(
            "lipgan withdraw --video 6330311066473698535 --reason 'asked by letter'\n"
            "dvc repro                               rebuilds the shards that contained it\n"
            "lipgan withdraw --purge        lists every copy in caches, run-cache and remotes\n"
            "lipgan withdraw --purge --yes  deletes them and writes a signed tombstone"
        ),
    )
    withdraw.add_argument(
        "--video", help="id, as in column `video` of data/index.parquet, or a video's name in a person's library"
    )
    withdraw.add_argument("--person", metavar="NAME", help="instead: everything of a person of `lipgan person`")
    withdraw.add_argument("--reason", help="in the person's words, or: no reason given")
    withdraw.add_argument("--date", type=date.fromisoformat, default=date.today(), help="default: today")
    withdraw.add_argument("--purge", action="store_true", help="list every copy of withdrawn videos")
    withdraw.add_argument("--yes", action="store_true", help="with --purge: delete the copies")
    withdraw.add_argument("--originals", action="store_true", help="with --purge: the videos in corpus.folder too")


def run(args: argparse.Namespace) -> None:
    from tasks.core import config, paths
    from tasks.core.errors import UserError
    from tasks.withdrawal import purge

    named = bool(args.video) + bool(args.person)
    if args.purge + named != 1 or bool(named) != bool(args.reason):
        raise UserError("withdraw: give --video or --person, and --reason, or --purge; see `lipgan withdraw --help`")
    if args.person:
        from tasks.persons import store

        args.video = store.find(args.person).folder.name
    if args.purge:
        purge.purge(config.load(paths.PARAMS), yes=args.yes, originals=args.originals)
    else:
        purge.withdraw(args.video, args.reason, args.date.isoformat())
