"""`gc`: delete units of the cache that nothing needs any more."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command
from tasks.core import paths
from tasks.core.errors import UserError


def add(commands: Any) -> None:
    gc = command(
        commands,
        "gc",
        "delete units of the cache that nothing needs",
        run,
        what="Delete the units of the cache that no current plan needs and no run has used for some days.",
        example="lipgan gc --dry-run      list them\nlipgan gc --days 7",
    )
    gc.add_argument("--days", type=float, default=30.0, help="only units unused for this long; default: %(default)g")
    gc.add_argument("--dry-run", action="store_true", help="list them, delete none")
    gc.add_argument("--params", type=Path, default=paths.PARAMS, help="default: %(default)s")


def run(args: argparse.Namespace) -> None:
    from tasks.acquire import stage as acquire
    from tasks.core import config
    from tasks.core.progress import say
    from tasks.preprocess import stage as preprocess
    from tasks.storage import unit_gc

    if not args.days >= 0:
        raise UserError(f"--days must be 0 or more, got {args.days:g}")
    p = config.load(args.params)
    plans = {
        "acquire": lambda: acquire.plan(p)[0],
        "preprocess": lambda: preprocess.plan(p)[0],
    }
    say(unit_gc.run(plans, args.days, args.dry_run))
