"""Flow `landmarks`: one task for every 25 heads, then one that trains on them."""

from flows import engine
from model.params import Params
from tasks import landmark_training, units


@engine.stage_flow("landmarks")
def run(p: Params) -> None:
    rendering, training = landmark_training.plan(p)
    units.exchange([training])
    if not training.done:
        engine.run_units("heads", rendering, landmark_training.render, "head")
    ran = engine.run_units("training landmarks", [training], landmark_training.train, "predictor")
    engine.done("landmarks", f"{ran}: {landmark_training.collect(rendering, training)}")
