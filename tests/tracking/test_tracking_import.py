import json
from pathlib import Path

import mlflow
import numpy as np
import pytest

from tasks.core import config
from tasks.core.errors import UserError
from tasks.tracking import import_run, jsonl
from tasks.tracking import runs as tracking


@pytest.fixture
def tracked(workspace, monkeypatch):
    """The folder of a run of three rows, the second of which was written again after a stop."""
    monkeypatch.setenv("LIPGAN_TRACKING", "jsonl")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/mlflow.db")
    p = config.load(Path("params.yaml"))
    Path("curve.csv").write_text("step\n1\n")
    for rows in ([(2, 0.5), (4, 0.4)], [(4, 0.3), (6, 0.2)]):
        with tracking.run("train", p) as tracker:
            for step, value in rows:
                tracker.metrics({"l1": value}, step)
            tracker.picture("val", np.full((4, 6, 3), (200, 10, 30), np.uint8), 4)
            tracker.file(Path("curve.csv"), "plots")
    return next(Path(".cache/tracking").iterdir())


def test_a_run_in_a_folder_is_imported_into_mlflow_whole_and_once(tracked, capsys):
    line = import_run.run(tracked)
    client = mlflow.MlflowClient()
    found = mlflow.search_runs(experiment_names=[tracking.EXPERIMENT], output_format="list")
    assert len(found) == 1 and found[0].info.run_id in line and "3 rows" in line
    history = client.get_metric_history(found[0].info.run_id, "train/l1")
    assert [(row.step, row.value) for row in history] == [(2, 0.5), (4, 0.3), (6, 0.2)]
    assert found[0].data.params["train.lr"] == str(config.load(Path("params.yaml")).train.lr)
    assert found[0].data.tags["stage"] == "train"
    there = {file.path for of in ("plots", "images") for file in client.list_artifacts(found[0].info.run_id, of)}
    assert "plots/curve.csv" in there and any(name.endswith(".png") and "val" in name for name in there)
    with pytest.raises(UserError, match="already imported"):
        import_run.run(tracked)


def test_a_folder_that_is_no_run_is_one_line(tmp_path, tracked):
    with pytest.raises(UserError, match=r"about\.json is missing"):
        import_run.run(tmp_path / "nothing")
    (tracked / "metrics.jsonl").write_text('{"step": 2, "l1": 0.5}\n{"step":')
    with pytest.raises(UserError, match="damaged"):
        import_run.run(tracked)


def test_a_runs_description_has_no_secret_and_no_path_of_the_machine(tracked):
    about = json.loads((tracked / jsonl.ABOUT).read_text())
    assert set(about) == {"name", "params", "tags"} and str(Path.cwd()) not in json.dumps(about)
