"""Flow `evaluate`: one Prefect task; the work is in tasks.evaluate."""

from flows import engine
from model.params import Params
from tasks.evaluate import stage


@engine.stage_flow("evaluate")
def run(p: Params) -> None:
    engine.done("evaluate", engine.run_alone("evaluate", lambda: stage.run(p)))
