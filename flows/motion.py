"""Flow `motion`: one Prefect task; the training loop, which resumes, is in tasks.motion."""

from flows import engine
from model.params import Params
from tasks.motion import stage


@engine.stage_flow("motion", lambda p: f"{p.motion.num_steps} steps")
def run(p: Params) -> None:
    engine.done("motion", engine.run_alone("motion", lambda: stage.run(p)))
