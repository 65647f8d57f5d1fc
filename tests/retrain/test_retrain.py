"""Retraining under accidents: real git, DVC, MLflow and kill -9 around stages of a second. Whatever goes wrong, the old
champion keeps serving, and the next run does what is left to do."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, git, params_text

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.provenance import dvc_cache, withdrawals
from tasks.retrain import cycle as retrain
from tasks.retrain import worktree
from tasks.storage import index
from tasks.tracking import registry
from tasks.tracking.registry import CHALLENGER, CHAMPION, Registry

pytestmark = pytest.mark.slow
NUM_TESTED = 6


def plain(name, work):
    return work()


def load():
    return config.load(paths.PARAMS)


class Project:
    """A repository with a folder corpus, and what serves."""

    def __init__(self, folder):
        self.folder, self.log, self.count = folder, folder.parent / "log", 0

    def add(self, quality):
        """A new video; the next training is as good as it says."""
        self.count += 1
        (self.folder / f"data/videos/new{self.count:03d}.mp4").write_text(f"{quality} {self.count}")

    def drop(self):
        (self.folder / f"data/videos/new{self.count:03d}.mp4").unlink()
        self.count -= 1

    def retrain(self):
        return retrain.run(load(), plain, {})

    @property
    def serving(self):
        version = Registry().aliased(CHAMPION)
        return registry.fetch(f"models:/lipgan/{version.number}").read_text().split()[1] if version else None

    @property
    def trainings(self):
        return self.log.read_text().split().count("train")


@pytest.fixture(scope="module")
def made(tmp_path_factory, empty_store):
    """After its first retraining: a champion of 0.6."""
    folder = tmp_path_factory.mktemp("drills") / "project"
    for room in ("flows", "tasks", "model", "released"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)  # Prefect's settings
    shutil.copy(ROOT / "tests/retrain_stages.py", folder / "stages.py")
    shutil.copy(empty_store, folder / "mlflow.db")
    project = Project(folder)
    (folder / "params.yaml").write_text(params_text({"corpus.name": "folder"}))
    (folder / ".gitignore").write_text("/.cache\n/mlflow.db*\n__pycache__\n/data/*\n/models\n")
    (folder / "withdrawals.csv").write_text("video,date,reason,source_sha256\n")
    generator = ["models/generator.safetensors", "models/generator.json"]
    reports = [{"reports/metrics.json": {"cache": False}}, {"reports/plots/clips.csv": {"cache": False}}]
    run = f"{sys.executable} stages.py {{}} {project.log}"
    stages = {
        "acquire": {"deps": ["data/videos", "withdrawals.csv"], "outs": ["data/index.parquet"]},
        "lexicon": {"deps": ["pyproject.toml"], "outs": ["models/lexicon.txt"]},
        "train": {"deps": ["data/index.parquet", "data/videos", "models/lexicon.txt"], "outs": generator},
        "evaluate": {"deps": [*generator, "data/index.parquet", "stages.py"], "outs": reports},
    }
    stages = {name: {"cmd": run.format(name), **stage} for name, stage in stages.items()}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (folder / "data/videos").mkdir(parents=True)
    for k in range(NUM_TESTED):
        (folder / f"data/videos/a{k}.mp4").write_text(f"0.1 {k}")
    with pytest.MonkeyPatch.context() as patch:
        enter(patch, project)
        git("init", "-q", "-b", "main")
        subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
        git("add", "-A")
        git("commit", "-qm", "a project")
        project.add(0.6)
        assert "is champion now; branch retrain/" in project.retrain()
    return project


def enter(patch, project):
    patch.chdir(project.folder)
    patch.setenv("LIPGAN_CACHE", str(project.folder / ".cache"))
    patch.setenv("LIPGAN_TRACKING", "mlflow")
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project.folder / 'mlflow.db'}")
    patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    patch.setenv("DVC_SITE_CACHE_DIR", str(project.folder.parent / "site"))


@pytest.fixture
def project(made, monkeypatch):
    """The same project for every drill: that the last one left it clean is part of the claim."""
    enter(monkeypatch, made)
    assert made.serving is not None
    return made


def test_nothing_new_trains_nothing(project):
    before = project.log.read_text()
    assert "nothing new: this is version 1, promoted before" in project.retrain()
    assert project.log.read_text() == before


def test_the_branch_has_the_lock_and_the_reports_and_the_users_work_tree_is_untouched(project):
    branch = Registry().aliased(CHAMPION).tags["branch"]
    listed = subprocess.run(["git", "ls-tree", "-r", "--name-only", branch], capture_output=True, text=True).stdout
    assert {"dvc.lock", "reports/retrain.json", "reports/metrics.json"} <= set(listed.split())
    status = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True).stdout
    assert status == "" and not Path("dvc.lock").exists() and len(list(Path("data/videos").iterdir())) > NUM_TESTED


def test_a_stage_that_fails_leaves_the_champion_and_the_next_run_is_clean(project):
    old = project.serving
    project.add("broken")
    with pytest.raises(UserError, match="dvc repro"):
        project.retrain()
    assert project.serving == old
    project.drop()
    assert "nothing new" in project.retrain()


def test_a_full_disk_leaves_the_champion_and_the_next_run_is_clean(project):
    old = project.serving
    project.add("full")
    with pytest.raises(UserError, match="dvc repro"):
        project.retrain()
    assert project.serving == old
    project.drop()
    assert "nothing new" in project.retrain()


def test_an_unreachable_server_is_noticed_before_training(project, monkeypatch):
    old, trained = project.serving, project.trainings
    project.add(0.65)
    with monkeypatch.context() as unreachable:
        unreachable.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        with pytest.raises(UserError, match="does not answer"):
            project.retrain()
    assert project.trainings == trained and project.serving == old
    assert "is champion now" in project.retrain() and project.serving == "0.65"


KILLED = """
import os, signal, sys
from tasks.core import config, paths
from tasks.retrain import cycle
def step(name, work):
    if name == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return work()
cycle.run(config.load(paths.PARAMS), step, {})
"""


@pytest.mark.parametrize(("at", "quality"), [("enter", 0.7), ("conclude", 0.75)])
def test_killed_between_training_and_promotion_it_continues_without_training_again(project, at, quality):
    old, trained = project.serving, project.trainings
    project.add(quality)
    killed = subprocess.run([sys.executable, "-c", KILLED, at], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert project.serving == old and project.trainings == trained + 1
    assert "is champion now" in project.retrain()
    assert project.serving == str(quality) and project.trainings == trained + 1


def test_of_two_runs_at_once_one_continues_and_the_other_names_it(project):
    with worktree.locked(), pytest.raises(UserError, match=f"another retraining runs .process {os.getpid()}"):
        project.retrain()
    assert "nothing new" in project.retrain()


def test_a_child_that_outlives_a_killed_run_keeps_the_next_one_out_until_it_ends(project):
    code = (
        "import os, signal, subprocess, sys\nfrom tasks.retrain import worktree\n"
        "with worktree.locked() as lock:\n"
        "    quiet = subprocess.DEVNULL\n"
        "    child = subprocess.Popen(['sleep', '600'], pass_fds=[lock], stdout=quiet, stderr=quiet)\n"
        "    print(child.pid, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    child = int(killed.stdout)
    with pytest.raises(UserError, match="another retraining runs"), worktree.locked():
        pass
    os.kill(child, signal.SIGKILL)
    for _ in range(1000):  # the kernel releases the lock when the child ends
        try:
            with worktree.locked():
                return
        except UserError:
            os.sched_yield()
    pytest.fail("the lock of a dead process was never let go")


def test_a_stage_that_does_not_run_has_its_outputs_in_a_new_work_tree_without_a_remote(project):
    shutil.rmtree(worktree.place())
    ran = project.log.read_text().split().count("lexicon")
    project.add(0.8)
    assert "is champion now" in project.retrain()
    assert project.log.read_text().split().count("lexicon") == ran


def test_a_worse_challenger_is_refused_once_and_says_why(project):
    old, trained = project.serving, project.trainings
    project.add(0.4)
    said = project.retrain()
    assert "was refused: aperture_corr not worse than the champion's: worse: -0." in said
    assert project.serving == old and Registry().aliased(CHALLENGER) is not None
    assert "refused before" in project.retrain() and project.trainings == trained + 1
    project.drop()


def test_a_push_that_fails_promotes_nothing_and_the_next_run_does(project):
    old, trained = project.serving, project.trainings
    blocked = project.folder.parent / "remote"
    blocked.write_text("a file where a folder should be")
    git("config", "user.name", "t")
    local = Path(".dvc/config.local")
    local.write_text(f"['remote \"far\"']\n    url = {blocked}\n[core]\n    remote = far\n")
    project.add(0.8)
    with pytest.raises(UserError, match="dvc"):
        project.retrain()
    assert project.serving == old
    blocked.unlink()
    assert "is champion now" in project.retrain()
    assert project.serving == "0.8" and project.trainings == trained + 1
    md5 = Registry().aliased(CHAMPION).tags["dvc.md5"]
    assert (blocked / dvc_cache.OBJECTS / md5[:2] / md5[2:]).is_file()
    local.unlink()


def test_an_uncommitted_withdrawal_or_split_stops_the_run_and_a_committed_one_is_applied(project):
    withdrawals.add("new001", "2026-11-22", "asked")
    with pytest.raises(UserError, match="not committed"):
        project.retrain()
    git("checkout", "-q", "--", "withdrawals.csv")
    Path("splits.csv").write_text("person,split\n")
    with pytest.raises(UserError, match=r"splits\.csv has rows that are not committed"):
        project.retrain()
    Path("splits.csv").unlink()
    assert project.serving is not None


def test_a_champion_measured_by_other_code_is_measured_again_without_traces(project):
    with Path("stages.py").open("a") as file:
        file.write("# measured in another way\n")
    git("commit", "-qam", "another way")
    before, old = project.log.read_text().split(), project.serving
    project.add(0.9)
    assert "is champion now" in project.retrain()
    ran = project.log.read_text().split()[len(before) :]
    assert ran == ["acquire", "train", "evaluate", "evaluate"]
    assert Registry().aliased(CHAMPION).tags["reasons"].count(f"better: {0.9 - float(old):+.3f}") == 1
    committed = Registry().aliased(CHAMPION).tags["branch"]
    shown = subprocess.run(["git", "show", f"{committed}:reports/metrics.json"], capture_output=True, text=True).stdout
    assert json.loads(shown)["right_audio"]["aperture_corr"] == 0.9
    assert "nothing new" in project.retrain()


def test_rollback_is_one_step_and_the_next_run_does_not_bring_the_bad_one_back(project):
    bad, now = Registry().rollback("late")
    assert bad.number != now.number and Registry().aliased(CHAMPION).number == now.number
    assert "nothing new" in project.retrain()
    assert Registry().aliased(CHAMPION).number == now.number


def test_the_command_runs_the_same_steps_under_prefect(project, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(project.folder.parent / "prefect"))
    done = subprocess.run([sys.executable, "-m", "flows", "retrain"], capture_output=True, text=True)
    assert done.returncode == 0 and "retrain: nothing new: this is version" in done.stderr, done.stderr
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    served = subprocess.run([sys.executable, "-m", "flows", "retrain", "--serve", "0 2 * * *"], capture_output=True)
    assert served.returncode == 2 and b"error: --serve needs a Prefect server: `make server`" in served.stderr


def test_the_champion_is_compared_on_the_clips_both_were_measured_on(project):
    assert len(index.kept(index.read(worktree.place() / paths.INDEX), "test")) == NUM_TESTED
