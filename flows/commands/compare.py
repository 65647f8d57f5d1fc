"""`compare`: two checkpoints or commits, over the same clips."""

import argparse
import sys
from pathlib import Path
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    compare = command(
        commands,
        "compare",
        "two checkpoints or commits over the same clips: better, worse, or cannot tell",
        run,
        what="Compare B with A, clip by clip: commits by the tables they hold, or checkpoint files measured now.",
        example="python -m flows compare HEAD~1 HEAD\n"
        "python -m flows compare models/generator.safetensors other.safetensors",
    )
    compare.add_argument("a", metavar="REV_A", help="commit, branch, tag, or a .safetensors file")
    compare.add_argument("b", metavar="REV_B", help="the same for B, which is judged")


def run(args: argparse.Namespace) -> None:
    from tasks.evaluate import compare

    if args.a.endswith(".safetensors") or args.b.endswith(".safetensors"):
        from tasks.core import config
        from tasks.evaluate import compare_checkpoints

        found = compare_checkpoints.checkpoints(Path(args.a), Path(args.b), config.load())
    else:
        found = compare.commits(args.a, args.b)
    sys.stdout.write("\n".join(compare.lines(found, args.a, args.b)) + "\n")
