"""Flow `landmarks`: a task for every 25 heads to render, then one that trains on them."""

from flows import engine
from model.params import Params
from tasks.landmarks import stage as landmarks_stage
from tasks.storage import unit_cache


@engine.stage_flow("landmarks")
def run(p: Params) -> None:
    rendering, training = landmarks_stage.plan(p)
    unit_cache.exchange([training])
    if not training.done:
        engine.run_units("heads", rendering, landmarks_stage.render, "head")
    ran = engine.run_units("training landmarks", [training], landmarks_stage.train, "predictor")
    engine.done("landmarks", f"{ran}: {landmarks_stage.collect(rendering, training)}")
