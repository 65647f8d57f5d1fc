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
    parser.add_argument("--grid", type=Path, required=True, help="folder with video/ and reference/ of GRID people")
    parser.add_argument("--out", type=Path, default=RELEASED, help="weights to write, .json beside them")
    parser.add_argument("--steps", type=int, default=stage.NUM_STEPS)
    parser.add_argument("--heads", type=int, default=stage.NUM_HEADS, help="rendered people to train on")
    return parser


def main() -> int:
    given = arguments().parse_args()
    torch.set_num_threads(1)  # more add up in another order
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        sys.stdout.write(f"{stage.run(given.grid, given.out, given.steps, given.heads)}\n")
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
