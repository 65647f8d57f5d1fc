"""Flow `evaluate`: one task, for the watcher; the panel is in tasks.evaluate."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import engine
from model.params import Params
from tasks.evaluate import stage as evaluate


@engine.stage_flow("evaluate")
def run(p: Params) -> None:
    def one() -> str:
        return evaluate.run(p)

    engine.done("evaluate", task(name="evaluate", cache_policy=NO_CACHE, persist_result=False)(one)())
