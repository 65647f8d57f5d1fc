"""`agree`: the agreement a corpus is held under."""

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    agree = command(
        commands,
        "agree",
        "record the agreement a corpus is held under: data/agreement.json",
        run,
        what="Record who signed the agreement with the BBC that LRS2 needs, and the hash of the signed paper.",
        example='python -m flows agree --who "A. Person" --organisation "A University" --signed lrs2.pdf',
    )
    agree.add_argument("--who", required=True, help="who signed")
    agree.add_argument("--organisation", required=True, help="for which organisation")
    agree.add_argument("--signed", type=Path, required=True, help="the signed agreement; only its hash is recorded")
    agree.add_argument("--date", default=date.today().isoformat(), help="when it was signed; default: today")


def run(args: argparse.Namespace) -> None:
    from tasks.provenance import agreement

    sys.stderr.write(agreement.write(args.who, args.organisation, args.signed, args.date) + "\n")
