"""One module a command of `python -m flows`, each with `add(commands)`: its words, its help, and what it runs.

They are all imported to read a command line, so none imports anything heavy before `run` is called.
"""

import argparse
from collections.abc import Callable
from typing import Any

BACKEND = (
    "what computes the generator: torch, openvino, openvino-bf16, openvino-int8, onnx, onnx-int8 (extra fast), or "
    "auto: the fastest here of those whose pictures pass a gate on held-out clips; default: LIPGAN_BACKEND, or torch"
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
    """A new command. `run` gets the parsed words; what it returns is the exit status, None for 0.

    Errors: `run` raises tasks.core.errors.UserError for what the user can mend; it is shown as one line, exit status 2.
    """
    parser = commands.add_parser(
        name,
        help=short,
        description=what or short,
        epilog="example:\n  " + "\n  ".join(example.splitlines()),
        formatter_class=Raw,
    )
    parser.set_defaults(run=run)
    return parser
