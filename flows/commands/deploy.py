"""`deploy`: retrain at fixed times."""

import argparse
from typing import Any

from flows.commands import command

NIGHTLY = "0 2 * * *"


def add(commands: Any) -> None:
    deploy = command(
        commands,
        "deploy",
        "retrain every night; needs a Prefect server",
        run,
        what="Retrain at the times of a cron line (UTC): by this process, which keeps running, or with --pool by "
        "Prefect's workers.",
        example="lipgan deploy                                  every night at two, while this runs\n"
        'lipgan deploy --cron "30 1 * * 6" --pool local    Saturdays, by `prefect worker start --pool local`',
    )
    deploy.add_argument("--cron", default=NIGHTLY, help="default: %(default)r, every night at two")
    deploy.add_argument("--pool", metavar="NAME", help="a work pool, made if there is none; its workers retrain")


def run(args: argparse.Namespace) -> None:
    from flows.commands.retrain import check

    check()
    from flows import retrain

    retrain.deploy(args.cron, args.pool)
