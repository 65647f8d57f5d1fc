"""`experiments`: ablations of LipGAN's losses, with several seeds."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import command
from tasks.core import paths


def add(commands: Any) -> None:
    experiments = command(
        commands,
        "experiments",
        "ablations of the losses, with several seeds",
        run,
        what="Train the generator with each set of losses (L1 or lip-weighted L1, discriminator or expert) and several "
        "seeds, and compare them: reports/experiments/. Finished trainings are kept, interrupted ones resume.",
        example="lipgan experiments --steps 800 --seeds 3     15 trainings, under an hour on 2 cores\n"
        "lipgan experiments                            at the size of params.yaml, for a GPU",
    )
    experiments.add_argument("--steps", type=int, default=0, help="of each training; default: train.num_steps")
    experiments.add_argument("--seeds", type=int, default=3, help="of each set of losses; default: %(default)s")
    experiments.add_argument("--params", type=Path, default=paths.PARAMS, help="default: %(default)s")


def run(args: argparse.Namespace) -> None:
    from flows import preflight
    from tasks.core import config
    from tasks.core.errors import UserError
    from tasks.core.progress import say

    if args.steps < 0 or args.seeds < 1:
        raise UserError(f"experiments: --steps {args.steps} --seeds {args.seeds}: steps from 0, seeds from 1")
    preflight.run([paths.cache(), paths.EXPERIMENTS], needs_bytes=preflight.TRAINING_BYTES, what="the trainings")
    from tasks.studies import ablations as experiments

    say(experiments.run(config.load(args.params), steps=args.steps, num_seeds=args.seeds))
