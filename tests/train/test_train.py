"""The training stage as a whole; the step itself is tested in test_gan.py."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY, params_text
from torch.utils._python_dispatch import TorchDispatchMode

from model import schedules
from model.gan import Gan
from tasks.core import config, device, paths
from tasks.core.errors import UserError
from tasks.core.memory import explain_out_of_memory
from tasks.inference import checkpoints
from tasks.train import stage as train
from tasks.train import state as train_state
from tasks.train.loop import Trainer

WEIGHTS = (paths.GENERATOR, paths.DISCRIMINATORS)


def digests():
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in WEIGHTS]


def load(**changes):
    Path("params.yaml").write_text(params_text(TINY | changes))
    return config.load(Path("params.yaml"))


def test_a_finished_training_is_not_repeated(tiny, monkeypatch):
    p = load()
    train.run(p)
    before = digests()
    for path in WEIGHTS:
        path.unlink()
    monkeypatch.setattr(Gan, "step", None)  # a single step would fail
    train.run(p)
    assert digests() == before


def test_other_parameters_never_resume_from_this_state(tiny):
    keys = {
        train_state.training_key(load(**change))
        for change in ({}, {"train.lr": 0.002}, {"model.width": 0.25}, {"seed": 1})
    }
    assert len(keys) == 4


def test_a_limit_of_time_changes_no_training(tiny):
    assert train_state.training_key(load()) == train_state.training_key(load(**{"train.time_limit_s": 60.0}))


def test_what_is_written_describes_itself(tiny):
    train.run(load())
    about = json.loads(paths.GENERATOR.with_suffix(".json").read_text())
    assert about["loop"]["step"] == 6 and about["params"]["model"]["width"] == 0.125
    assert about["lineage"]["corpora"] == ["synthetic"]
    assert "time" not in json.dumps(about) and str(tiny) not in json.dumps(about)
    rows = list(csv.DictReader(paths.TRAIN_CURVE.open()))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert rows[1]["val_mouth_l1"] and not rows[0]["val_mouth_l1"]


def poisoned(monkeypatch, calls):
    """Put a NaN into the sound of the batches with these numbers, counted over all steps, also repeated ones."""
    take, taken = Trainer._next, []

    def next_batch(self, batches):
        batch = take(self, batches)
        taken.append(self.step)
        if len(taken) in calls:
            batch.mfcc_BFW[0, 0, 0] = float("nan")
        return batch

    monkeypatch.setattr(Trainer, "_next", next_batch)
    return taken


def test_a_loss_that_stays_not_finite_stops_the_run_after_rollbacks_and_keeps_the_last_checkpoint(tiny, monkeypatch):
    poisoned(monkeypatch, range(5, 1000))
    with pytest.raises(UserError, match=r"not finite before step 6, after 3 rollbacks .* lower train.lr"):
        train.run(load())
    state = checkpoints.load_state(next(Path(".cache/train").glob("*/state.pt")))
    assert state["step"] == 4 and all(v.isfinite().all() for v in state["gan"]["generator"].values())


def test_one_bad_batch_rolls_back_with_a_lower_rate_and_is_reported(tiny, monkeypatch, capfd):
    taken = poisoned(monkeypatch, [5])
    train.run(load())
    assert taken == [0, 1, 2, 3, 4, 5, 4, 5]
    about = json.loads(paths.GENERATOR.with_suffix(".json").read_text())
    assert [(alarm["name"], alarm["step"]) for alarm in about["alarms"]] == [("not_finite", 6)]
    assert about["alarms"][0]["then"] == "back to step 4, learning rates times 0.5"
    assert "lower train.lr" in capfd.readouterr().err
    rates = [float(row["lr"]) for row in csv.DictReader(paths.TRAIN_CURVE.open())]
    t = load().train
    wanted = [t.lr * schedules.gan_rate(step, t) * factor for step, factor in ((1, 1), (3, 1), (5, 0.5))]
    assert rates == pytest.approx(wanted, rel=1e-5)  # the table has six digits


def test_before_the_first_checkpoint_a_rollback_restarts(tiny, monkeypatch):
    assert poisoned(monkeypatch, [2]) == []
    train.run(load(**{"train.num_steps": 4}))
    about = json.loads(paths.GENERATOR.with_suffix(".json").read_text())
    assert about["alarms"][0]["then"] == "back to step 0, learning rates times 0.5"


def test_a_state_with_a_step_that_was_not_finite_is_never_saved(tiny, monkeypatch):
    saved = []
    save = checkpoints.save_state
    monkeypatch.setattr(checkpoints, "save_state", lambda path, state: (saved.append(state["step"]), save(path, state)))
    taken = poisoned(monkeypatch, [3])
    train.run(load(**{"train.checkpoint_every": 1, "train.log_every": 6}))
    assert taken == [0, 1, 2, 2, 3, 4, 5]
    assert saved == [1, 2, 2, 3, 4, 5, 6]  # 3 only when it was done again; 2 once more, with what was learnt


def test_a_mouth_that_never_moved_is_reported_once_and_training_continues(tiny, capfd):
    changes = {"train.alarms.grace_steps": 0, "train.alarms.min_audio_effect": 1.0, "train.val_every": 2}
    train.run(load(**changes))
    names = [alarm["name"] for alarm in json.loads(paths.GENERATOR.with_suffix(".json").read_text())["alarms"]]
    assert names.count("copies_reference") == 1
    assert "right and wrong audio give the same mouth" in capfd.readouterr().err


def test_the_loop_waits_for_the_device_at_rows_of_the_log_and_never_at_a_step(tiny):
    class Counting(TorchDispatchMode):
        waits = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.waits += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
            return func(*args, **(kwargs or {}))

    counted = []
    for num_steps in (2, 6):
        once = {f"train.{name}": num_steps for name in ("num_steps", "log_every", "val_every", "checkpoint_every")}
        with Counting() as counting:
            train.run(load(**once))
        counted.append(counting.waits)
    assert counted[0] == counted[1] > 0


@pytest.mark.parametrize("place", ["ram", "device"])
def test_where_the_data_lies_changes_no_bit_of_the_weights(tiny, monkeypatch, place):
    train.run(load())
    before = digests()
    shutil.rmtree(".cache/train")
    monkeypatch.setenv("LIPGAN_DATA", place)
    train.run(load())
    assert digests() == before


def test_memory_that_runs_out_names_the_settings_to_lower(tiny, monkeypatch):
    monkeypatch.setattr(Gan, "step", lambda self, batch: {"l1": torch.empty(1 << 50)})
    with pytest.raises(UserError, match=r"out of memory on cpu .* train.batch_size \(4\) or model.width \(0.125\)"):
        train.run(load())


def test_other_errors_of_torch_are_not_reported_as_lack_of_memory():
    with pytest.raises(RuntimeError, match="shape"), explain_out_of_memory(torch.device("cpu"), "x"):
        torch.zeros(3).view(2, 2)


def test_the_rate_rises_stays_and_falls_to_a_twentieth():
    t = config.load(ROOT / "params.yaml").train
    factors = [schedules.gan_rate(step, t) for step in range(t.num_steps)]
    assert factors[0] < 0.05 and max(factors) == 1.0
    assert factors[int(t.decay_from * t.num_steps)] == 1.0
    assert 0.05 <= factors[-1] < 0.06


def test_a_missing_gpu_is_reported_at_the_start(monkeypatch):
    monkeypatch.setenv("LIPGAN_DEVICE", "cuda")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserError, match="finds no GPU"):
        device.choose_device()


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x"])
def test_a_device_that_no_network_runs_on_is_refused(monkeypatch, name):
    monkeypatch.setenv("LIPGAN_DEVICE", name)
    with pytest.raises(UserError, match="LIPGAN_DEVICE must be cpu or cuda"):
        device.choose_device()


NEEDED = "torch numpy cv2 pyarrow safetensors tqdm yaml"


def test_training_needs_seven_libraries_and_neither_prefect_nor_mlflow_nor_dvc(tiny):
    code = f"""
import sys
import torch, torch._dynamo  # they bring what they need themselves
class Nothing_else:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        ours = top in ("model", "tasks")
        if top.startswith("_sysconfigdata"):
            return None  # of the standard library, by the name of the machine
        if path is None and not ours and top not in sys.stdlib_module_names and top not in {NEEDED.split()}:
            raise ModuleNotFoundError(f"No module named {{top!r}}", name=top)
sys.meta_path.insert(0, Nothing_else())
from pathlib import Path
from tasks.core import config
from tasks.train import stage
stage.run(config.load(Path("params.yaml")))
"""
    variables = os.environ | {"PYTHONPATH": str(ROOT), "LIPGAN_TRACKING": "jsonl"}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(Path(".cache/tracking").glob("*/metrics.jsonl"))
