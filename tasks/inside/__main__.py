"""`python -m tasks.inside`: trains the network that paints the mouth's inside; see tasks/inside/folders.py."""

import sys

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.inside.folders import run, with_lengths
from tasks.motion import folders

EXAMPLE = """example: python -m tasks.inside --data videos --val alice --test bob --out models/inside.safetensors
where videos/ has one folder per person: videos/alice/1.mp4, videos/bob/1.mp4, videos/carol/1.mp4"""


def main(arguments: list[str]) -> str:
    what = "Train the network that paints the mouth's inside on folders of clips: FOLDER/PERSON/*.mp4"
    parser = folders.parser("python -m tasks.inside", what, EXAMPLE)
    parser.add_argument("--num-pairs", type=int, help="default: inside.num_pairs of params.yaml")
    parser.add_argument("--num-steps", type=int, help="default: inside.num_steps of params.yaml")
    args = parser.parse_args(arguments)
    p = with_lengths(config.load(paths.PARAMS), args.num_pairs, args.num_steps)
    return run(p, folders.ordered("python -m tasks.inside", args, arguments))


if __name__ == "__main__":
    try:
        say(main(sys.argv[1:]))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
