"""Flow `retrain`: acquire and train on what is new, judge it, and let it serve or not. A caller of `dvc repro`.

python -m flows retrain                          once
python -m flows retrain --serve "0 2 * * *"      every night at two, as long as this process lives
prefect deploy --all                             the same by a worker (prefect.yaml)
"""

import os
from collections.abc import Callable
from typing import Any

from prefect import flow, get_client, task
from prefect.cache_policies import NO_CACHE

from flows import engine
from tasks import config, paths, retrain, worktree
from tasks.stage import UserError


@flow(name="retrain", persist_result=False)
def run() -> None:
    p = config.load(paths.PARAMS)
    with get_client(sync_client=True) as client:
        server = os.environ.get("PREFECT_API_URL") or str(client.api_url).rstrip("/")
    with worktree.alone() as lock:
        made = step("reproduce", lambda: retrain.reproduce(p, lock, {"PREFECT_API_URL": server}))
        if made.judged(p):
            version = made.version
            engine.done("retrain", f"nothing new: this is version {version.number}, {version.tags['verdict']} before")
            return
        made = step("enter", lambda: retrain.enter(made))
        judgement, moved = step("judge", lambda: retrain.judge(made, p))
        branch = step("publish", lambda: retrain.publish(made, judgement, moved))
        engine.done("retrain", step("conclude", lambda: retrain.conclude(made, judgement, moved, branch, p)))


def step(name: str, work: Callable[[], Any]) -> Any:
    """One task, for the watcher; it runs here and now, and its error ends the flow."""
    return task(name=name, cache_policy=NO_CACHE, persist_result=False)(work)()


def serve(cron: str) -> None:
    """Errors: UserError without a server: a flow's own one keeps no schedule."""
    if not os.environ.get("PREFECT_API_URL"):
        raise UserError(
            "--serve needs a Prefect server: `make server` in another terminal, "
            "then `export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    run.serve(name="retrain", cron=cron, limit=1)
