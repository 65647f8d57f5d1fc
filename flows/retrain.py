"""Flow `retrain`: acquire new data, train, judge the new model, and promote it or not; by `dvc repro`.

python -m flows retrain                          once
python -m flows retrain --serve "0 2 * * *"      every night at two, while this process runs
prefect deploy --all                             the same by a worker (prefect.yaml)
"""

import os

from prefect import flow
from prefect.client.schemas.schedules import CronSchedule

from flows import engine
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.retrain import cycle


@flow(name="retrain", persist_result=False)
@engine.failing_in_a_line
def run() -> None:
    server = {"PREFECT_API_URL": engine.server_url()}
    engine.done("retrain", cycle.run(config.load(paths.PARAMS), engine.run_alone, server))


def serve(cron: str) -> None:
    """Errors: UserError without a server, because the one a flow starts keeps no schedule; and for a bad cron line"""
    if not os.environ.get("PREFECT_API_URL"):
        raise UserError(
            "--serve needs a Prefect server: `make server` in another terminal, "
            "then `export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    try:
        schedule = CronSchedule(cron=cron, timezone="UTC")
    except ValueError:
        raise UserError(f"--serve: {cron!r} is not a cron line; every night at two is '0 2 * * *'") from None
    run.serve(name="retrain", schedule=schedule, limit=1)
