"""`completion`: tab completion of commands, options and files for bash and zsh."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command, show

FILES = ("audio", "checkpoint", "face", "out", "side_by_side", "recognition", "a", "b")  # file options without a type


def add(commands: Any) -> None:
    completion = command(
        commands,
        "completion",
        "print a script for tab completion in bash or zsh",
        run,
        what="Print a script that completes commands, options and file names of `lipgan`.",
        example="lipgan completion bash > ~/.local/share/bash-completion/completions/lipgan\n"
        "lipgan completion zsh > ~/.zfunc/_lipgan     with ~/.zfunc in fpath",
    )
    completion.add_argument("shell", choices=("bash", "zsh"))


def run(args: argparse.Namespace) -> None:
    import shtab

    from flows.cli import parser

    top = parser("lipgan")
    [commands] = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    for each in commands.choices.values():
        for action in each._actions:
            if action.type is Path or (action.dest in FILES and action.choices is None):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    show(shtab.complete(top, args.shell).rstrip("\n"))
