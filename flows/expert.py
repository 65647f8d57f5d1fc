"""Flow `expert`: one Prefect task; the training loop, which resumes, is in tasks.expert."""

from flows import engine
from model.params import Params
from tasks.expert import stage


@engine.stage_flow("expert", lambda p: f"{p.expert.num_steps} steps")
def run(p: Params) -> None:
    engine.done("expert", engine.run_alone("expert", lambda: stage.run(p)))
