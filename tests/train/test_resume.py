"""A training that is interrupted in any way resumes, and ends with the same bytes as without the interruption."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, TINY, inside, params_text

from tasks.core import config, paths
from tasks.core.errors import Stopped, UserError
from tasks.inference import checkpoints
from tasks.train import stage as train
from tasks.train.loop import Trainer
from tasks.train.state import States

LONGER = TINY | {"train.num_steps": 16, "train.checkpoint_every": 3, "train.val_samples": 4}
WRITTEN = (paths.GENERATOR, paths.DISCRIMINATORS, paths.GENERATOR.with_suffix(".json"), paths.TRAIN_CURVE)


def load(**changes):
    Path("params.yaml").write_text(params_text(LONGER | changes))
    return config.load(Path("params.yaml"))


def digests(folder=Path()):
    return [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in WRITTEN]


def command(*arguments, **variables):
    given = os.environ | {"PYTHONPATH": str(ROOT), "LIPGAN_TRACKING": "off"} | variables
    return subprocess.Popen([sys.executable, *arguments], env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def undisturbed(tiny_folder, tmp_path_factory):
    """What a training of 16 steps writes that nothing stops."""
    folder = shutil.copytree(tiny_folder, tmp_path_factory.mktemp("undisturbed") / "p")
    torch.set_num_threads(1)  # as killed.py does: the order of sums is part of the bits
    with inside(folder):
        train.run(load())
    return digests(folder)


def test_twelve_kills_at_random_points_change_no_bit_of_the_outputs(tiny, undisturbed):
    load()
    running = command(str(ROOT / "tests/killed.py"), ".", "5", "12")
    output, errors = running.communicate(timeout=900)
    assert running.returncode == 0, errors.decode()
    assert output.decode().count("killed: ") == 12
    assert digests() == undisturbed
    assert not list(Path(".cache/train").glob("*/.state.pt.*")), "half-written states stayed"


def test_sigterm_saves_at_the_next_step_and_the_same_command_resumes(tiny, undisturbed, monkeypatch):
    take = Trainer._next

    def one_that_is_told_to_stop_at_step_7(self, batches):
        if self.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return take(self, batches)

    monkeypatch.setattr(Trainer, "_next", one_that_is_told_to_stop_at_step_7)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="stopped by SIGTERM at step 8 of 16: run again to resume"):
        train.run(load())
    assert signal.getsignal(signal.SIGTERM) == before
    assert not paths.GENERATOR.is_file() and not paths.TRAIN_CURVE.is_file()
    monkeypatch.setattr(Trainer, "_next", take)
    train.run(load())
    assert digests() == undisturbed


def test_a_stopped_training_ends_with_status_75(tiny):
    load(**{"train.time_limit_s": 1e-3})
    running = command("-m", "tasks.train")
    errors = running.communicate(timeout=300)[1].decode()
    assert running.returncode == 75
    assert "stopped by train.time_limit_s at step 1 of 16: run again to resume" in errors


def test_a_training_in_slices_of_a_step_each_ends_as_one_without_a_limit(tiny, undisturbed):
    p = load(**{"train.time_limit_s": 1e-3})
    for step in range(1, 16):
        with pytest.raises(Stopped, match=f"at step {step} of 16"):
            train.run(p)
    train.run(p)  # nothing is left to stop for: the last step is its end
    assert digests() == undisturbed


def test_a_state_of_another_training_is_refused_by_name(tiny, monkeypatch):
    with pytest.raises(Stopped):
        train.run(load(**{"train.time_limit_s": 1e-3, "train.lr": 0.003}))
    state = next(Path(".cache/train").glob("*/state.pt")).rename("other.pt")
    monkeypatch.setenv("LIPGAN_STATE", str(state))
    with pytest.raises(UserError, match=r"other.pt: a state of another training: train.lr 0.003 there, 0.002 here$"):
        train.run(load(**{"train.lr": 0.002}))
    monkeypatch.setenv("LIPGAN_STATE", "nowhere.pt")
    with pytest.raises(UserError, match=r"nowhere\.pt: no such file"):
        train.run(load())


def test_a_state_from_another_place_is_resumed(tiny, undisturbed, monkeypatch, capfd):
    with pytest.raises(Stopped):
        train.run(load(**{"train.time_limit_s": 1e-3}))
    monkeypatch.setenv("LIPGAN_STATE", str(next(Path(".cache/train").glob("*/state.pt")).rename("moved.pt")))
    train.run(load())
    assert "resuming at step 1 of 16" in capfd.readouterr().err
    assert digests() == undisturbed


def test_a_damaged_state_is_one_line(tiny):
    p = load()
    last = States(p).last
    last.parent.mkdir(parents=True)
    last.write_bytes(b"PK\x03\x04 not a state")
    with pytest.raises(UserError, match="damaged, or not a training state"):
        train.run(p)


def test_old_states_are_deleted_except_the_last_three(tiny):
    for lr in (0.001, 0.002, 0.003, 0.004, 0.005):
        train.run(load(**{"train.lr": lr, "train.num_steps": 1}))
    assert len(list(Path(".cache/train").glob("*"))) == 4  # three others and this one


def test_a_state_contains_what_a_process_needs_and_nothing_executable(tiny):
    train.run(load(**{"train.num_steps": 3}))
    state = checkpoints.load_state(next(Path(".cache/train").glob("*/state.pt")))
    assert state["step"] == 3 and state["good"] and state["identity"]["train.num_steps"] == 3
    assert torch.equal(state["rng"]["cpu"], torch.get_rng_state())


def test_a_state_with_the_key_names_of_version_0_1_is_resumed_bit_for_bit(tiny, undisturbed):
    """The names are literal here: renaming one in the code would lose every training that was begun before."""
    with pytest.raises(Stopped):
        train.run(load(**{"train.time_limit_s": 1e-3}))
    file = next(Path(".cache/train").glob("*/state.pt"))
    now = checkpoints.load_state(file)
    networks = ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer", "average")
    identity = {name: value for name, value in now["identity"].items() if name.startswith("train.")}
    named = ("model.width", "seed", "faces.size", "the trainer's version", "the index's md5")
    terms = ("sync", "expert", "quality", "temporal", "perceptual")
    [session] = now["sessions"]
    state = {
        "gan": {name: now["gan"][name] for name in networks},
        "schedules": {name: now["schedules"][name] for name in terms},
        "step": 1,
        "curve": [],
        "since_step": 0,
        "sums": now["sums"],
        "alarms": [],
        "rollbacks": 0,
        "run_id": "",
        "sessions": [{name: session[name] for name in ("from_step", "git_commit", "changed")}],
        "rng": {"cpu": now["rng"]["cpu"]},
        "identity": identity | {name: now["identity"][name] for name in named},
        "good": True,
    }
    state["gan"]["average"] = {name: now["gan"]["average"][name] for name in ("network", "steps")}
    assert state.keys() == now.keys() and state["identity"].keys() == now["identity"].keys()
    torch.save(state, file)
    train.run(load())
    assert digests() == undisturbed
