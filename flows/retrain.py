"""Flow `retrain`: acquire new data, train, judge the new model, and promote it or not; by `dvc repro`.

python -m flows retrain                              once
python -m flows deploy --cron "0 2 * * *"            every night at two, while this process runs
python -m flows deploy --cron "0 2 * * *" --pool X   the same by a worker of work pool X
"""

import logging
from pathlib import Path
from typing import Any

from prefect import Flow, flow, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, FlowRun
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import EntrypointType
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import State

from flows import engine, offline, pages
from tasks.core import config, names, paths, programs
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.retrain import cycle, drift
from tasks.retrain.gate import Judgement

NAME = "nightly"
HOUR_S, NOTIFY_S = 3600.0, 60.0


def tell(flow: Flow, run: FlowRun, state: State) -> None:
    """Run the command `retrain.notify` with the line for which a retraining failed, as its last word."""
    try:
        if command := config.load(paths.PARAMS).retrain.notify:
            line = names.one_line(f"retrain failed: {state.message}")
            programs.run([*command, line], "retrain.notify", timeout_s=NOTIFY_S)
    except UserError as error:
        say(f"retrain: nobody was told: {error}")


# one flow for a person, a schedule and a worker, so it is made here; its parameters are those of the project
@flow(name="retrain", persist_result=False, on_failure=[tell], on_crashed=[tell])
@engine.failing_in_a_line
def run() -> None:
    with pages.logged():
        p = config.load(paths.PARAMS)
        pages.entitle(f"retrain {p.corpus.name}", ["retrain", *pages.tags(p)])

        def step(name: str, work: Any) -> Any:
            timeout_s = p.retrain.timeout_h * HOUR_S or None if name == "reproduce" else None
            result = engine.run_alone(name, work, timeout_s)
            if name == "judge":
                pages.entitle(f"retrain {p.corpus.name}: {show_gate(*result)}")
            return result

        engine.done("retrain", cycle.run(p, step))


def show_gate(judgement: Judgement, moved: dict[str, Any]) -> str:
    """The artifact `retrain-gate`: each demand, what was found, and the verdict, which is returned."""
    rows = [("holds" if each.holds else "**FAILS**", each.demand, each.found) for each in judgement.reasons]
    verdict = "promoted" if judgement.promoted else "refused"
    below = "\n".join(f"- {line}" for line in (drift.lines(moved) if moved else []))
    pages.table("retrain-gate", f"The new model is {verdict}", ("", "demand", "found"), rows, below)
    return verdict


def once() -> None:
    with offline.server_or_memory():
        run()


def deploy(cron: str, pool: str | None) -> None:
    """Retrain at the times of a cron line: by this process, until it is stopped, or by the workers of a work pool.

    Errors: UserError without a server, because nothing else keeps a schedule; and for a bad cron line
    """
    if not offline.server():
        raise UserError(
            "deploy needs a Prefect server: `make server` in another terminal, "
            "then `export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    try:
        schedule = CronSchedule(cron=cron, timezone="UTC")
    except ValueError:
        raise UserError(f"--cron: {cron!r} is not a cron line; every night at two is '0 2 * * *'") from None
    about: dict[str, Any] = {
        "name": NAME,
        "schedule": schedule,
        "description": f"`dvc repro`, the gate, a new champion; in {names.valid(str(Path.cwd()))}",
        "tags": ["retrain"],
        "entrypoint_type": EntrypointType.MODULE_PATH,
    }
    logging.getLogger("prefect").setLevel(logging.CRITICAL)
    if pool is None:
        say(f"deploy: retrain/{NAME} at {cron!r} (UTC), while this process runs; Ctrl-C ends it")
        run.serve(**about, limit=1, print_starting_message=False)
        return
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        except ObjectAlreadyExists:
            pass
    # what comes while one runs is dropped, not queued: the next night sees the same new data
    one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    run.to_deployment(
        **about, concurrency_limit=one, work_pool_name=pool, job_variables={"working_dir": str(Path.cwd())}
    ).apply()
    say(f"deploy: retrain/{NAME} at {cron!r} (UTC); a worker runs it: prefect worker start --pool {pool}")
