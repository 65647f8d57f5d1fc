"""The command line: `python -m flows COMMAND`. Exit 0: done; 1: a bug of ours, with its traceback, or findings of a
command that looks for some; 2: yours to mend; 75: stopped by a signal or a time limit, the same command goes on.

Heavy imports wait until the command is known to be right. Worker processes do not import this module.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from flows.commands import (
    agree,
    app,
    audit,
    batch,
    compare,
    deps,
    dub,
    experiments,
    gc,
    import_tracking,
    listen,
    live,
    retrain,
    stages,
    withdraw,
)
from tasks.core.errors import UserError

COMMANDS = (  # in the order that the help shows
    stages,
    agree,
    dub,
    batch,
    live,
    app,
    audit,
    withdraw,
    retrain,
    compare,
    listen,
    experiments,
    import_tracking,
    gc,
    deps,
)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m flows", description="Speech to lip-sync, stage by stage.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # errors are told here, once: Prefect would show a traceback for a mistyped parameter too
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        return args.run(args) or 0
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status


if __name__ == "__main__":
    raise SystemExit(main())
