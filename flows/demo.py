"""Flow `demo`: `dvc repro`, then a dubbed clip."""

from flows import engine
from model.params import Params
from tasks.core import programs
from tasks.studies import demo


@engine.stage_flow("demo")
def run(p: Params) -> None:
    programs.dvc("repro")
    demo.run()
