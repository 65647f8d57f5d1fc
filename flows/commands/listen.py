"""`listen` and `votes`: a blind preference test with people."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command, show
from tasks.core import paths


def add(commands: Any) -> None:
    listen = command(
        commands,
        "listen",
        "make a page for a blind preference test with people",
        listen_run,
        what="Write a web page with pairs of videos in random order; a visitor chooses one of each pair and downloads "
        "the answers.",
        example="lipgan listen --clips 6\nlipgan listen --against other.safetensors",
    )
    listen.add_argument("--clips", type=int, default=6, help="number of test clips; default: %(default)s")
    listen.add_argument("--against", type=Path, help="another checkpoint to compare with")
    listen.add_argument("--out", type=Path, default=paths.LISTEN, help="default: %(default)s")
    votes = command(
        commands,
        "votes",
        "score the answers from the page of `listen`",
        votes_run,
        what="Score downloaded answers: how often each condition was chosen, with a 95 % interval.",
        example="lipgan votes votes-1.json votes-2.json",
    )
    votes.add_argument("files", type=Path, nargs="+", metavar="FILE", help="answers as the page downloads them")


def listen_run(args: argparse.Namespace) -> None:
    from tasks.studies import preference_page

    show(preference_page.run(args.clips, args.against, args.out))


def votes_run(args: argparse.Namespace) -> None:
    from tasks.studies import preference_votes

    show("\n".join(preference_votes.lines(preference_votes.score(preference_votes.read(args.files)))))
