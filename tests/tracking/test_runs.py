"""Runs as MLflow's pages show them: a pipeline's run above its stages', names, groups of metrics, descriptions."""

import shutil

import pytest
from conftest import commit, git

from tasks.core import config, paths
from tasks.tracking import naming, pipeline
from tasks.tracking import runs as tracking


@pytest.fixture
def store(workspace, empty_store, monkeypatch):
    """A store, and the folder's params.yaml in a commit."""
    git("init", "-q")
    commit("params")
    shutil.copy(empty_store, workspace / "mlflow.db")
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace / 'mlflow.db'}")
    return workspace


def load():
    return config.load(paths.PARAMS)


def all_runs():
    """Stage -> its runs, newest first."""
    client = tracking.connect().MlflowClient()
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    stages = {}
    for run in client.search_runs([experiment.experiment_id]):
        stages.setdefault(run.data.tags["stage"], []).append(run)
    return stages


def test_the_stages_of_a_pipeline_are_children_of_one_run_and_other_parameters_begin_another(store):
    for stage in ("expert", "train"):
        with tracking.run(stage, load()) as tracker:
            tracker.metrics({"l1": 0.5, "val_l1": 0.6, "test_accuracy": 0.7}, 2)
    runs = all_runs()
    [whole], [expert], [train] = runs["pipeline"], runs["expert"], runs["train"]
    assert expert.data.tags[pipeline.PARENT] == train.data.tags[pipeline.PARENT] == whole.info.run_id
    assert train.data.metrics == {"train/l1": 0.5, "val/l1": 0.6, "test/accuracy": 0.7}
    assert whole.info.status == "FINISHED" and whole.data.params["train.lr"] == train.data.params["train.lr"]
    changed = (store / "params.yaml").read_text().replace("batch_size: 4", "batch_size: 2")
    (store / "params.yaml").write_text(changed)
    with tracking.run("train", load()):
        pass
    assert len(all_runs()["pipeline"]) == 2


def test_the_clips_and_their_index_belong_to_the_pipeline_that_trains_on_them(store, tiny_folder):
    (store / "data").mkdir()
    shutil.copy(tiny_folder / paths.CLIPS, paths.CLIPS)
    with tracking.run("acquire", load()) as tracker:
        tracker.metrics({"clips": 12, "no_face": 1}, 0)
    assert "pipeline" not in all_runs()
    shutil.copy(tiny_folder / paths.INDEX, paths.INDEX)
    for stage in ("preprocess", "expert"):
        with tracking.run(stage, load()):
            pass
    runs = all_runs()
    [whole], [acquired] = runs["pipeline"], runs["acquire"]
    assert {runs[stage][0].data.tags[pipeline.PARENT] for stage in ("acquire", "preprocess", "expert")} == {
        whole.info.run_id
    }
    assert acquired.data.metrics == {"data/clips": 12, "data/no_face": 1}
    assert acquired.info.run_name.startswith("acquire synthetic-tiny ") and "steps" not in acquired.info.run_name
    (store / "params.yaml").write_text((store / "params.yaml").read_text().replace("batch_size: 4", "batch_size: 2"))
    with tracking.run("preprocess", load()):  # of another pipeline, of the same clips
        pass
    assert all_runs()["acquire"][0].data.tags[pipeline.PARENT] == whole.info.run_id


def test_a_failed_stage_is_a_failed_pipeline_and_its_repetition_finishes_it(store):
    with pytest.raises(ZeroDivisionError), tracking.run("train", load()):
        raise ZeroDivisionError
    assert {run.info.status for of in all_runs().values() for run in of} == {"FAILED"}
    with tracking.run("train", load()):
        pass
    assert [run.info.status for run in all_runs()["pipeline"]] == ["FINISHED"]


def test_a_run_is_called_by_stage_corpus_length_code_and_experiment(store, monkeypatch):
    code = git("rev-parse", "HEAD")[:7]
    assert naming.run_name("train", load()) == f"train synthetic-tiny 6 steps {code}"
    assert naming.run_name("expert", load()) == f"expert synthetic-tiny 4 steps {code}"
    (store / "params.yaml").write_text((store / "params.yaml").read_text() + "\n")
    monkeypatch.setenv("DVC_EXP_NAME", "plump-hare")
    assert naming.run_name("evaluate", load()) == f"evaluate synthetic-tiny 6 steps {code}+ plump-hare"


def test_the_verdict_describes_the_evaluation_its_training_and_the_pipeline_whose_row_shows_the_headline(store):
    with tracking.run("train", load()) as tracker:
        tracker.tag({naming.CHECKPOINT: "a" * 32})
    with tracking.run("train", load()) as other:
        other.tag({naming.CHECKPOINT: "b" * 32})
    with tracking.run("evaluate", load()) as tracker:
        tracker.conclude("passes all", {"mesh.correlation": 0.7}, "a" * 32)
    runs = all_runs()
    [whole], [evaluated] = runs["pipeline"], runs["evaluate"]
    described = {run.info.run_id: run.data.tags.get(naming.NOTE) for run in runs["train"]}
    assert sorted(map(str, described.values())) == ["None", "passes all"] and described[other.run_id] is None
    for run in (whole, evaluated):
        assert (run.data.tags[naming.NOTE], run.data.tags[naming.CHECKPOINT]) == ("passes all", "a" * 32)
    assert whole.data.metrics == {"test/mesh.correlation": 0.7}


def test_the_experiment_is_one_of_model_training_though_an_older_version_made_it(store):
    client = tracking.connect().MlflowClient()
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    for name in naming.EXPERIMENT_TAGS:
        client.delete_experiment_tag(experiment.experiment_id, name)
    tracking.connect()
    assert naming.EXPERIMENT_TAGS.items() <= client.get_experiment_by_name(tracking.EXPERIMENT).tags.items()
