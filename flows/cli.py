"""The command line: `lipgan COMMAND`, or `python -m flows COMMAND` in a checkout.

Exit status 0: done; 1: a bug of ours, with its traceback, or a command that checks something found a fault; 2: user
error, the message says what to change; 75: stopped by a signal or a time limit, the same command resumes.

A command imports what it needs when it runs, so that help and completion need no library. Worker processes do not
import this module.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from flows.commands import (
    agree,
    align,
    app,
    audit,
    batch,
    compare,
    completion,
    deploy,
    deps,
    dub,
    edit,
    experiments,
    gc,
    import_tracking,
    init,
    listen,
    live,
    person,
    retrain,
    show,
    stages,
    withdraw,
)
from tasks.core import servers, threads
from tasks.core.errors import UserError

GROUPS: dict[str, tuple[ModuleType, ...]] = {  # in the order of the help
    "pipeline": (init, stages, retrain, deploy),
    "dubbing": (dub, edit, batch, live, app, person, align),
    "data rights and lineage": (agree, audit, withdraw),
    "experiments": (compare, experiments, listen),
    "maintenance": (import_tracking, gc, deps, completion),
}

COMMANDS = [module for modules in GROUPS.values() for module in modules]


class Version(argparse.Action):
    """`--version`, read only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        from tasks.core.version import version

        show(f"lipgan {version()}")
        parser.exit()


class GroupedParser(argparse.ArgumentParser):
    """Its help lists the commands by group."""

    groups: dict[str, list[argparse.Action]]

    def format_help(self) -> str:
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        for title, commands in self.groups.items():
            formatter.start_section(title)
            formatter.add_arguments(commands)
            formatter.end_section()
        formatter.start_section("options")
        formatter.add_arguments([action for action in self._actions if action.option_strings])
        formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    """prog: how the program was called; default: as this process was."""
    prog = prog or called_as(sys.argv[0])
    top = GroupedParser(
        prog=prog,
        description="Speech to lip-sync, from raw video to a served model, reproducibly.",
        epilog=f"`{prog} COMMAND --help` explains a command, with examples.",
    )
    top.add_argument("--version", action=Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=argparse.ArgumentParser
    )
    top.groups = {}
    for title, modules in GROUPS.items():
        before = len(commands._choices_actions)
        for module in modules:
            module.add(commands)
        top.groups[title] = commands._choices_actions[before:]
    return top


def called_as(path: str) -> str:
    """sys.argv[0] -> the words that start this program."""
    return "lipgan" if Path(path).stem == "lipgan" else "python -m flows"


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # errors are printed here, once: Prefect would print a traceback for a mistyped parameter too
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_INTERNAL_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")  # the server of a flow reads only this one
    threads.settle()
    servers.keep_loopback_direct()
    try:
        return args.run(args) or 0
    except UserError as error:
        from tasks.core.names import one_line
        from tasks.core.progress import say

        say(f"error: {one_line(str(error))}")
        return error.exit_status
    except OSError as error:
        from tasks.core.progress import say
        from tasks.core.system_errors import as_user_error

        if (refused := as_user_error(error)) is None:
            raise
        say(f"error: {refused}")
        return refused.exit_status
