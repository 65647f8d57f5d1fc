"""The run of a whole pipeline in MLflow, above those of its stages.

`dvc repro` runs each stage in a process of its own, so nobody is there who could hold this run open: the first stage of
the same code, parameters, experiment and index makes it, the others find it by its key. `acquire` comes before the
index, so `preprocess` finds its run by the clips.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tasks.core import config
from tasks.tracking import naming

KEY = "pipeline.key"
CLIPS = "data.clips.md5"  # on the runs of `acquire` and `preprocess`
PARENT = "mlflow.parentRunId"
MAX_PARAMS = 100  # of one request to MLflow


def key(params: Any, tags: Mapping[str, str]) -> str:
    """What the stages of a pipeline have in common; the index, too, because all that are tracked come after it."""
    digest = tags.get("params.sha256") or config.digest(params)
    common = [tags.get("data.index.md5", ""), digest, tags.get("git.commit", ""), os.environ.get("DVC_EXP_NAME", "")]
    return hashlib.sha256(json.dumps(common).encode()).hexdigest()[:16]


@contextmanager
def running(mlflow: Any, experiment_id: str, params: Any, tags: Mapping[str, str]) -> Iterator[str]:
    """Id of the pipeline's run: running during the block, then finished, or failed with the stage."""
    client = mlflow.MlflowClient()
    run_id = _found_or_made(mlflow, experiment_id, params, dict(tags))
    client.update_run(run_id, status="RUNNING")
    status = "FAILED"
    try:
        yield run_id
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)


def adopt(mlflow: Any, experiment_id: str, run_id: str, clips_md5: str) -> None:
    """The run of `acquire` that made these clips becomes a child of the pipeline's, unless it is another's."""
    client = mlflow.MlflowClient()
    query = f"tags.stage = 'acquire' and tags.`{CLIPS}` = '{clips_md5}'"
    for made in client.search_runs([experiment_id], query, max_results=1):
        if PARENT not in made.data.tags:
            client.set_tag(made.info.run_id, PARENT, run_id)


def _found_or_made(mlflow: Any, experiment_id: str, params: Any, tags: dict[str, str]) -> str:
    client = mlflow.MlflowClient()
    own_key = key(params, tags)
    if known := client.search_runs([experiment_id], f"tags.`{KEY}` = '{own_key}'", max_results=1):
        return str(known[0].info.run_id)
    about = {name: tag for name, tag in tags.items() if name != "dvc.stage"} | {"stage": naming.PIPELINE, KEY: own_key}
    name = naming.run_name(naming.PIPELINE, params)
    run_id: str = client.create_run(experiment_id, run_name=name, tags=about).info.run_id
    flat = [mlflow.entities.Param(name, str(value)) for name, value in config.flat(config.as_dict(params)).items()]
    for first in range(0, len(flat), MAX_PARAMS):
        client.log_batch(run_id, params=flat[first : first + MAX_PARAMS])
    return run_id
