"""Rendered heads as a folder that the motion network trains on: OUT/SPLIT-VIDEO/CLIP.mp4.

python -m tasks.motion.rendered --out data/rendered [--size large] [--splits train test]
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar, say
from tasks.synthetic.clip import render
from tasks.synthetic.plan import SIZES, plan


def run(out: Path, size: str, splits: Sequence[str], of_each: int, seed: int) -> str:
    """The first `of_each` clips of each head; those that are there already stay."""
    num_of = Counter[str]()
    specs = []
    for spec in plan(seed, size):
        num_of[spec.video] += 1
        if spec.split in splits and num_of[spec.video] <= of_each:
            specs.append(spec)
    with bar(len(specs), "rendering", "clip") as shown:
        for spec in specs:
            video = out / f"{spec.split}-{spec.video}" / f"{spec.key.rpartition('/')[2]}.mp4"
            if not video.is_file():
                with all_or_nothing(video) as partial:
                    partial.write_bytes(render(spec).mp4)
            shown.update()
    return f"{len(specs)} clips of {len({spec.video for spec in specs})} heads in {out}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tasks.motion.rendered", description="Render talking heads.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=sorted(SIZES), default="large")
    parser.add_argument("--splits", nargs="+", choices=("train", "val", "test", "hard"), default=["train"])
    parser.add_argument("--of-each", type=int, default=1, metavar="N", help="clips of each head; default: %(default)s")
    given = parser.parse_args()
    try:
        say(run(given.out, given.size, given.splits, given.of_each, config.load(paths.PARAMS).seed))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
