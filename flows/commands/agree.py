"""`agree`: the agreement that allows a corpus to be held."""

import argparse
from datetime import date
from pathlib import Path
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    agree = command(
        commands,
        "agree",
        "record the signed agreement that LRS2 needs",
        run,
        what="Record who signed the agreement with the BBC that LRS2 needs, and the hash of the signed document.",
        example='lipgan agree --who "A. Person" --organisation "A University" --signed lrs2.pdf',
    )
    agree.add_argument("--who", required=True, help="who signed")
    agree.add_argument("--organisation", required=True, help="organisation that the agreement is for")
    agree.add_argument("--signed", type=Path, required=True, help="the signed agreement; only its hash is recorded")
    agree.add_argument("--date", default=date.today().isoformat(), help="when it was signed; default: today")


def run(args: argparse.Namespace) -> None:
    from tasks.core.progress import say
    from tasks.provenance import agreement

    say(agreement.write(args.who, args.organisation, args.signed, args.date))
