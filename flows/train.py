"""Flow `train`: one task, for the watcher; the loop is in tasks.train, and so is going on after a stop."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import engine
from model.params import Params
from tasks.train import stage as train


@engine.stage_flow("train")
def run(p: Params) -> None:
    def one() -> str:
        return train.run(p)

    engine.done("train", task(name="train", cache_policy=NO_CACHE, persist_result=False)(one)())
