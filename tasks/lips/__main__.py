"""The lip refiner's training: `python -m tasks.lips --grid FOLDER`."""

import argparse
import logging
import sys
from pathlib import Path

import torch

from tasks.core.errors import UserError
from tasks.features.lip_refiner import RELEASED
from tasks.lips import stage


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.lips", description=stage.__doc__.partition("\n")[0])
    parser.add_argument("--grid", type=Path, required=True, help="folder with video/ and reference/ of GRID speakers")
    parser.add_argument(
        "--out", type=Path, default=RELEASED, help="weights file to write; a .json is written beside it"
    )
    parser.add_argument("--steps", type=int, default=stage.NUM_STEPS)
    parser.add_argument("--heads", type=int, default=stage.NUM_HEADS, help="number of rendered people to train on")
    return parser


def main() -> int:
    args = arguments().parse_args()
    torch.set_num_threads(1)  # more threads sum in a different order
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        sys.stdout.write(f"{stage.run(args.grid, args.out, args.steps, args.heads)}\n")
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
