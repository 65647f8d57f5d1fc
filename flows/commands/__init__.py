"""One module a command, each with `add(commands)`: its words, its help, and what it runs.

All of them are imported to read a command line, so each imports nothing heavy before `run` is called.

What a command is asked for goes to standard output, by `show`; everything else, progress and what was done, goes to
standard error, by tasks.core.progress.say.
"""

import argparse
import re
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from tasks.core import names

WIDTH = 79  # of a description
BACKEND = (
    "what runs the generator: torch, openvino, openvino-bf16, openvino-int8, onnx, onnx-int8 (extra fast), or auto: "
    "the fastest on this machine of those that pass a quality gate on held-out clips; default: LIPGAN_BACKEND, or torch"
)


class Raw(argparse.RawDescriptionHelpFormatter):
    """Help that keeps its line breaks."""


def command(
    commands: Any,
    name: str,
    short: str,
    run: Callable[[argparse.Namespace], int | None],
    *,
    example: str,
    what: str = "",
) -> argparse.ArgumentParser:
    """A new command. `run` gets the parsed arguments; what it returns is the exit status, None for 0.

    short: its line in the list of commands.  what: the first paragraph of its own help
    example: written with `lipgan`; the help shows it as the program was called
    Errors: `run` raises tasks.core.errors.UserError for what the user can fix; it is shown as one line, exit status 2.
    """
    example = re.sub(r"(?m)(^|\| )lipgan ", rf"\1{commands._prog_prefix} ", example)
    parser = commands.add_parser(
        name,
        help=short,
        description=textwrap.fill(what or short, WIDTH),
        epilog="example:\n  " + "\n  ".join(example.splitlines()),
        formatter_class=Raw,
    )
    parser.set_defaults(run=run)
    return parser


def show(text: str) -> None:
    """A result, for a person or a pipe."""
    sys.stdout.write(names.valid(text) + "\n")
