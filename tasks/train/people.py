"""The corpus for LipGAN on real people: links to people of GRID and to rendered heads, and a list of splits.

reads   GRID/video/PERSON/*.mpg of the people in released/splits.csv; heads rendered by tasks/motion/rendered.py
writes  OUT/PERSON/, links to their videos; OUT.csv, the people with their splits, and every head in train

    python -m tasks.train.people --grid ../shared/grid --heads data/rendered --out data/people

Of a person with hundreds of clips `--most` are taken, evenly from all: the network shall not learn one face by heart.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from tasks.core import csv_tables
from tasks.core.errors import UserError
from tasks.core.progress import say

SPLITS = Path("released/splits.csv")
MOST = 60  # clips of a person


def run(grid: Path, heads: Path, out: Path, most: int) -> str:
    """Errors: UserError where a person or the heads are missing"""
    listed = [(str(row["person"]), str(row["split"])) for row in csv_tables.read_csv(SPLITS)]
    people = [(grid / "video" / person, split) for person, split in listed]
    people += [(head, "train") for head in sorted(heads.glob("*")) if head.is_dir()]
    if len(people) == len(listed):
        raise UserError(f"{heads}: no head in it; `python -m tasks.motion.rendered --out {heads}` renders them")
    num_clips = sum(_link(folder, out / folder.name, most) for folder, _ in people)
    csv_tables.write_csv(out.with_suffix(".csv"), [{"person": folder.name, "split": split} for folder, split in people])
    return f"{out}: {num_clips} clips of {len(listed)} people and {len(people) - len(listed)} rendered heads"


def _link(source: Path, target: Path, most: int) -> int:
    """Links to at most `most` clips, evenly from all; returns how many.  Errors: UserError if there is none"""
    clips = sorted(source.glob("*.mp*g")) + sorted(source.glob("*.mp4"))
    if not clips:
        raise UserError(f"{source}: no clip of this person")
    target.mkdir(parents=True, exist_ok=True)
    chosen = {clips[at] for at in np.linspace(0, len(clips) - 1, min(most, len(clips))).round().astype(int)}
    for link in target.iterdir():
        link.unlink()
    for clip in sorted(chosen):
        (target / clip.name).symlink_to(clip.resolve())
    return len(chosen)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tasks.train.people", description="Link the corpus of real people")
    parser.add_argument("--grid", type=Path, required=True, help="with video/s1, video/s4, ...: docs/grid.md")
    parser.add_argument("--heads", type=Path, required=True, help="of `python -m tasks.motion.rendered`")
    parser.add_argument("--out", type=Path, required=True, help="folder for the links; the list is OUT.csv")
    parser.add_argument("--most", type=int, default=MOST, help="clips of a person; default: %(default)s")
    args = parser.parse_args()
    try:
        say(run(args.grid, args.heads, args.out, args.most))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
