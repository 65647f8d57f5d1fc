"""The training stage as a whole; the step itself is tested in test_gan.py."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, TINY, params_text

from tasks import config, loader, paths, train
from tasks.stage import UserError

WEIGHTS = (paths.GENERATOR, paths.DISCRIMINATORS)


def digests():
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in WEIGHTS]


def load(**changes):
    Path("params.yaml").write_text(params_text(TINY | changes))
    return config.load(Path("params.yaml"))


@pytest.fixture(scope="session")
def undisturbed(tiny_folder, tmp_path_factory):
    """Hashes of the weights of a run that nothing stopped."""
    import shutil

    folder = shutil.copytree(tiny_folder, tmp_path_factory.mktemp("undisturbed") / "p")
    command(folder).communicate(timeout=300)
    return [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in WEIGHTS]


def command(folder):
    variables = os.environ | {"PYTHONPATH": str(ROOT), "LIPGAN_CACHE": str(folder / ".cache"), "LIPGAN_TRACKING": "off"}
    return subprocess.Popen([sys.executable, "-m", "tasks.train"], cwd=folder, env=variables, stderr=subprocess.PIPE)


@pytest.mark.parametrize("kill_at", [2, 4])
def test_a_run_killed_and_started_again_ends_with_the_same_weights(tiny, undisturbed, kill_at):
    running = command(tiny)
    while running.poll() is None and not reached(tiny, kill_at):
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert running.returncode == -signal.SIGKILL, "it was faster than the test: nothing was shown"
    again = command(tiny)
    assert b"going on at step" in again.communicate(timeout=300)[1]
    assert digests() == undisturbed


def reached(folder, step):
    import torch

    states = list((folder / ".cache/train").glob("*/state.pt"))
    return bool(states) and torch.load(states[0], weights_only=True)["step"] >= step


def test_a_finished_training_is_not_done_again(tiny, monkeypatch):
    p = load()
    train.run(p)
    before = digests()
    for path in WEIGHTS:
        path.unlink()
    monkeypatch.setattr(train.Gan, "step", None)  # a single step would fail
    train.run(p)
    assert digests() == before


def test_other_parameters_never_go_on_from_this_state(tiny):
    keys = {
        train.training_key(load(**change)) for change in ({}, {"train.lr": 0.002}, {"model.width": 0.25}, {"seed": 1})
    }
    assert len(keys) == 4


def test_what_is_written_describes_itself(tiny):
    train.run(load())
    about = json.loads(paths.GENERATOR.with_suffix(".json").read_text())
    assert about["loop"]["step"] == 6 and about["params"]["model"]["width"] == 0.125
    assert about["lineage"]["corpora"] == ["synthetic"]
    assert "time" not in json.dumps(about) and str(tiny) not in json.dumps(about)
    rows = list(csv.DictReader(paths.TRAIN_CURVE.open()))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert rows[1]["val_mouth_l1"] and not rows[0]["val_mouth_l1"]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(tiny, monkeypatch):
    heard = loader.window
    monkeypatch.setattr(loader, "window", lambda mfcc, frame: heard(mfcc, frame) * (float("nan") if frame % 2 else 1))
    with pytest.raises(UserError, match="not finite before step"):
        train.run(load())


def test_the_rate_rises_stays_and_falls_to_a_twentieth():
    t = config.load(ROOT / "params.yaml").train
    factors = [train.rate_factor(step, t) for step in range(t.num_steps)]
    assert factors[0] < 0.05 and max(factors) == 1.0
    assert factors[int(t.decay_from * t.num_steps)] == 1.0
    assert 0.05 <= factors[-1] < 0.06


def test_a_gpu_that_is_not_there_is_told_at_the_start(monkeypatch):
    import torch

    monkeypatch.setenv("LIPGAN_DEVICE", "cuda")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserError, match="sees no GPU here"):
        train.choose_device()


def test_training_needs_neither_prefect_nor_mlflow_nor_dvc(tiny):
    code = (
        "import sys\n"
        "for name in ('prefect', 'mlflow', 'dvc', 'webdataset', 'librosa', 'av', 'dlib'): sys.modules[name] = None\n"
        "from pathlib import Path; from tasks import config, train\n"
        "train.run(config.load(Path('params.yaml')))\n"
    )
    variables = os.environ | {"PYTHONPATH": str(ROOT), "LIPGAN_TRACKING": "jsonl"}
    subprocess.run([sys.executable, "-c", code], check=True, env=variables, capture_output=True)
    assert list(Path(".cache/tracking").glob("*/metrics.jsonl"))
