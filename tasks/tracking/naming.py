"""How runs are called in MLflow: their names, the groups of their metrics, and what its pages know by tag."""

import os
from collections.abc import Mapping
from typing import Any

from tasks.provenance import git_revision

NOTE = "mlflow.note.content"  # the description at the head of a run's page, in Markdown
# what MLflow's servers take an experiment for; its pages since 3.17 go by their address alone, see `page`
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
CHECKPOINT = "checkpoint.md5"  # on every run: of the weights that it trained or measured
PIPELINE = "pipeline"  # stage of the run above those of the stages
TRAINED_BY = {"evaluate": "train", PIPELINE: "train"}
OF_DATA = ("acquire", "preprocess")  # stages that train nothing
GROUP = {"evaluate": "test", **dict.fromkeys(OF_DATA, "data")}  # of a stage's metrics; default: train
OWN_GROUP = ("val", "test")


def page(experiment_id: str, server: str = "http://localhost:5000") -> str:
    """The page with an experiment's runs; without the last words it opens as one of chat agents."""
    return f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


def run_name(stage: str, params: Any) -> str:
    """ "train synthetic-demo 1500 steps 3208a09": what, on what, for how long, by which code.

    After the commit "+" if files that decide a result differ from it; then the name of the experiment of `dvc exp run`.
    """
    corpus = params.corpus
    data = f"{corpus.name}-{corpus.size}" if corpus.name == "synthetic" else corpus.name
    steps = [] if stage in OF_DATA else [f"{getattr(params, TRAINED_BY.get(stage, stage)).num_steps} steps"]
    return " ".join([stage, data, *steps, *code()])


def code() -> list[str]:
    """The commit, with "+" if it is not clean, and the experiment of DVC, as far as there are any."""
    commit = git_revision.commit()[:7]
    words = [commit + ("+" if git_revision.changed() else "") if commit else "", os.environ.get("DVC_EXP_NAME", "")]
    return [word for word in words if word]


def grouped(stage: str, values: Mapping[str, float]) -> dict[str, float]:
    """Metrics as MLflow's pages group them: {"l1": 1, "val_l1": 2} -> {"train/l1": 1, "val/l1": 2}."""
    return {grouped_name(stage, name): float(value) for name, value in values.items()}


def grouped_name(stage: str, name: str) -> str:
    if "/" in name:
        return name
    own, _, rest = name.partition("_")
    return f"{own}/{rest}" if own in OWN_GROUP and rest else f"{GROUP.get(stage, 'train')}/{name}"
