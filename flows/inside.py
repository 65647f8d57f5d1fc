"""Flow `inside`: one Prefect task; the training loop, which resumes, is in tasks.inside."""

from flows import engine
from model.params import Params
from tasks.inside import stage


@engine.stage_flow("inside")
def run(p: Params) -> None:
    engine.done("inside", engine.run_alone("inside", lambda: stage.run(p)))
