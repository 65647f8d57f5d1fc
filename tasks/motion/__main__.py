"""`python -m tasks.motion`: trains the motion network; see tasks/motion/folders.py."""

import sys
from collections.abc import Sequence

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.motion.folders import Order, ordered, parser, run

PROG = "python -m tasks.motion"
EXAMPLE = """example: python -m tasks.motion --data videos --val alice --test bob --out models/motion.safetensors
where videos/ has one folder per person: videos/alice/1.mp4, videos/bob/1.mp4, videos/carol/1.mp4"""


def order(arguments: Sequence[str]) -> Order:
    what = "Train the motion network on folders of clips: FOLDER/PERSON/*.mp4"
    return ordered(PROG, parser(PROG, what, EXAMPLE).parse_args(arguments), arguments)


if __name__ == "__main__":
    try:
        say(run(config.load(paths.PARAMS), order(sys.argv[1:])))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
