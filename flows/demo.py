"""Flow `demo`: `dvc repro` and a dubbed clip. The stages share this flow's Prefect server, which saves five starts."""

import os

from prefect import get_client

from flows import engine
from model.params import Params
from tasks.core import programs
from tasks.studies import demo


@engine.stage_flow("demo")
def run(p: Params) -> None:
    with get_client(sync_client=True) as client:
        server = os.environ.get("PREFECT_API_URL") or str(client.api_url).rstrip("/")
    programs.dvc("repro", variables={"PREFECT_API_URL": server})
    demo.run()
