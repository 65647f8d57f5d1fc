"""Flow `train`: one Prefect task; the training loop, which resumes, is in tasks.train."""

from flows import engine
from model.params import Params
from tasks.train import stage


@engine.stage_flow("train", lambda p: f"{p.train.num_steps} steps")
def run(p: Params) -> None:
    engine.done("train", engine.run_alone("train", lambda: stage.run(p)))
