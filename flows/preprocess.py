"""Flow `preprocess`: a task for each shard."""

from flows import engine
from model.params import Params
from tasks.preprocess import stage as preprocess


@engine.stage_flow("preprocess")
def run(p: Params) -> None:
    planned, refused = preprocess.plan(p)
    ran = engine.run_units("preprocess", planned, preprocess.build)
    engine.done("preprocess", f"{ran}: {preprocess.collect(planned, refused)}")
