"""`python -m tasks.motion`: trains the motion network; see tasks/motion/folders.py."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.motion.folders import Order, run

EXAMPLE = """example: python -m tasks.motion --data videos --val alice --test bob --out models/motion.safetensors
where videos/ has one folder per person: videos/alice/1.mp4, videos/bob/1.mp4, videos/carol/1.mp4"""


def order(arguments: Sequence[str]) -> Order:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.motion", description="Train the motion network on folders of clips: FOLDER/PERSON/*.mp4",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--val", nargs="+", required=True, metavar="PERSON", help="held out: for the curves and gains")
    parser.add_argument("--test", nargs="*", default=[], metavar="PERSON", help="held out: for the final figures")
    parser.add_argument("--out", type=Path, required=True, help="the weights file; a JSON is written beside it")
    parser.add_argument("--licence", default="", help="licence of the data, for the JSON")
    parser.add_argument("--attribution", default="", help="attribution of the data, for the JSON")
    args = parser.parse_args(arguments)
    command = shlex.join(["python", "-m", "tasks.motion", *arguments])
    return Order(tuple(args.data), args.out, tuple(args.val), tuple(args.test), args.licence, args.attribution, command)


if __name__ == "__main__":
    try:
        say(run(config.load(paths.PARAMS), order(sys.argv[1:])))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
