"""`python -m tasks.motion`: trains the motion network; see tasks/motion/stage.py."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.motion.stage import Order, run

EXAMPLE = """example: python -m tasks.motion --data videos --val alice --test bob --out models/motion.safetensors
where videos/ holds a folder for each person: videos/alice/1.mp4, videos/bob/1.mp4, videos/carol/1.mp4"""


def order(arguments: Sequence[str]) -> Order:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.motion", description="Train the motion network on folders of clips: FOLDER/PERSON/*.mp4",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--val", nargs="+", required=True, metavar="PERSON", help="held out: curves and gains")
    parser.add_argument("--test", nargs="*", default=[], metavar="PERSON", help="held out: figures at the end")
    parser.add_argument("--out", type=Path, required=True, help="the weights; a JSON is written beside them")
    parser.add_argument("--licence", default="", help="of the data, for the JSON")
    parser.add_argument("--attribution", default="", help="of the data, for the JSON")
    given = parser.parse_args(arguments)
    command = shlex.join(["python", "-m", "tasks.motion", *arguments])
    return Order(
        tuple(given.data), given.out, tuple(given.val), tuple(given.test), given.licence, given.attribution, command
    )


if __name__ == "__main__":
    try:
        say(run(config.load(paths.PARAMS), order(sys.argv[1:])))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
