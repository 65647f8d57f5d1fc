"""`listen` and `votes`: people have the last word."""

import argparse
import sys
from pathlib import Path
from typing import Any

from flows.commands import command
from tasks.core import paths


def add(commands: Any) -> None:
    listen = command(
        commands,
        "listen",
        "a page on which people choose the better of two videos, blind",
        listen_run,
        what="Write a page with pairs of videos in random order; who opens it chooses, and downloads the answers.",
        example="python -m flows listen --clips 6\npython -m flows listen --against other.safetensors",
    )
    listen.add_argument("--clips", type=int, default=6, help="test clips shown; default: %(default)s")
    listen.add_argument("--against", type=Path, help="another checkpoint to be compared with")
    listen.add_argument("--out", type=Path, default=paths.LISTEN, help="default: %(default)s")
    votes = command(
        commands,
        "votes",
        "what people chose on the page of `listen`",
        votes_run,
        what="Score downloaded answers: how often each was chosen of two, with a 95 % interval.",
        example="python -m flows votes votes-1.json votes-2.json",
    )
    votes.add_argument("files", type=Path, nargs="+", metavar="FILE", help="answers as the page downloads them")


def listen_run(args: argparse.Namespace) -> None:
    from tasks.studies import preference_page as listen

    sys.stdout.write(listen.run(args.clips, args.against, args.out) + "\n")


def votes_run(args: argparse.Namespace) -> None:
    from tasks.studies import preference_votes as votes

    sys.stdout.write("\n".join(votes.lines(votes.score(votes.read(args.files)))) + "\n")
