"""Flow `demo`: `dvc repro`, then a dubbed clip. The stages share this flow's Prefect server instead of starting six."""

from flows import engine
from model.params import Params
from tasks.core import programs
from tasks.studies import demo


@engine.stage_flow("demo")
def run(p: Params) -> None:
    programs.dvc("repro", variables={"PREFECT_API_URL": engine.server_url()})
    demo.run()
