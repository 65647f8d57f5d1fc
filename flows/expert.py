"""Flow `expert`: one Prefect task; the loop, and resuming after a stop, are in tasks.expert."""

from flows import engine
from model.params import Params
from tasks.expert import stage


@engine.stage_flow("expert")
def run(p: Params) -> None:
    engine.done("expert", engine.run_alone("expert", lambda: stage.run(p)))
