"""Flow `expert`: one task, for the watcher; the loop is in tasks.expert, and so is going on after a stop."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import engine
from model.params import Params
from tasks.expert import stage as expert


@engine.stage_flow("expert")
def run(p: Params) -> None:
    def one() -> str:
        return expert.run(p)

    engine.done("expert", task(name="expert", cache_policy=NO_CACHE, persist_result=False)(one)())
