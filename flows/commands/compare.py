"""`compare`: two checkpoints or commits, over the same clips."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command, show


def add(commands: Any) -> None:
    compare = command(
        commands,
        "compare",
        "compare two checkpoints or commits over the same clips",
        run,
        what="Compare B with A over the same clips: commits by the tables they contain, checkpoint files by measuring "
        "them now.",
        example="lipgan compare HEAD~1 HEAD\nlipgan compare models/generator.safetensors other.safetensors",
    )
    compare.add_argument("a", metavar="REV_A", help="commit, branch, tag, or a .safetensors file")
    compare.add_argument("b", metavar="REV_B", help="the same; B is judged against A")


def run(args: argparse.Namespace) -> None:
    from tasks.evaluate import compare

    if args.a.endswith(".safetensors") or args.b.endswith(".safetensors"):
        from tasks.core import config
        from tasks.evaluate import compare_checkpoints

        comparison = compare_checkpoints.checkpoints(Path(args.a), Path(args.b), config.load())
    else:
        comparison = compare.commits(args.a, args.b)
    show("\n".join(compare.lines(comparison, args.a, args.b)))
