"""Renders heads into a data folder for the motion network: OUT/SPLIT-VIDEO/CLIP.mp4.

python -m tasks.motion.rendered --out data/rendered [--size large] [--splits train] [--heads 150]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.core.progress import bar, say
from tasks.synthetic.clip import render
from tasks.synthetic.plan import SIZES, ClipSpec, plan


def run(out: Path, size: str, splits: Sequence[str], num_heads: int, seed: int) -> str:
    """Render the first clip of the first `num_heads` heads of each split; existing files are kept."""
    firsts: dict[str, dict[str, ClipSpec]] = {split: {} for split in splits}
    for spec in plan(seed, size):
        if spec.split in firsts:
            firsts[spec.split].setdefault(spec.video, spec)
    specs = [spec for of in firsts.values() for spec in list(of.values())[:num_heads]]
    with bar(len(specs), "rendering", "clip") as progress:
        for spec in specs:
            video = out / f"{spec.split}-{spec.video}" / f"{spec.key.rpartition('/')[2]}.mp4"
            if not video.is_file():
                with all_or_nothing(video) as partial:
                    partial.write_bytes(render(spec).mp4)
            progress.update()
    return f"{len(specs)} heads in {out}, one clip each"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tasks.motion.rendered", description="Render talking heads.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", choices=sorted(SIZES), default="large")
    parser.add_argument("--splits", nargs="+", choices=("train", "val", "test", "hard"), default=["train"])
    parser.add_argument("--heads", type=int, default=150, metavar="N", help="heads per split; default: %(default)s")
    args = parser.parse_args()
    try:
        say(run(args.out, args.size, args.splits, args.heads, config.load(paths.PARAMS).seed))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
