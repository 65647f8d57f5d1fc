"""What `lipgan init` lays out: the checkout's files, with a hash of the code in place of the code."""

import configparser
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, dvc, git

from tasks.core.errors import UserError
from tasks.provenance import project

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_a_stage_of_a_project_depends_on_its_data_and_on_its_key_of_code_json():
    stages = yaml.safe_load(project.pipeline((ROOT / "dvc.yaml").read_text()))["stages"]
    assert stages.keys() == STAGES.keys()
    for name, stage in stages.items():
        assert stage["cmd"] == f"lipgan {name}"
        data = [dep for dep in STAGES[name]["deps"] if not dep.endswith(".py") and not dep.startswith("released/")]
        assert stage["deps"] == data
        assert stage["params"] == [{"code.json": [name]}, *STAGES[name]["params"]]
        assert {key: stage[key] for key in ("outs", "metrics", "plots") if key in stage} == {
            key: STAGES[name][key] for key in ("outs", "metrics", "plots") if key in STAGES[name]
        }


def test_prefects_settings_are_those_of_the_checkout():
    text = (ROOT / "pyproject.toml").read_text()
    assert tomllib.loads(project.prefect_settings(text)) == tomllib.loads(text)["tool"]["prefect"]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that a test may change."""
    for room in ("flows", "tasks", "model", "released"):
        shutil.copytree(ROOT / room, tmp_path / "package" / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "package/.dvc").mkdir()
    for name in (*project.FILES, "dvc.yaml", "pyproject.toml", ".dvc/config"):
        shutil.copy(ROOT / name, tmp_path / "package" / name)
    monkeypatch.setattr(project, "ROOT", tmp_path / "package")
    monkeypatch.setattr(project.paths, "shipped", lambda name: tmp_path / "package" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "package"


@pytest.mark.parametrize("file", ["model/gan.py", "released/lips.safetensors", "tasks/core/errors.py"])
def test_other_code_changes_the_hash_of_the_stages_that_use_it_alone(package, file):
    before = project.code_of_stages()
    with (package / file).open("ab") as code:
        code.write(b"\n")
    after = project.code_of_stages()
    assert {name for name in STAGES if after[name] != before[name]} == {
        name for name, stage in STAGES.items() if file in stage["deps"]
    }


def test_a_stage_does_not_run_by_other_code_than_code_json_says(package):
    project.demand_current("train")  # no project: a checkout has no code.json
    project.CODE.write_text('{"lipgan": "0.1.0", "train": "older"}')
    with pytest.raises(UserError, match=r"is of lipgan 0\.1\.0, this is .* other code for stage train; run `lipgan"):
        project.demand_current("train")
    project.CODE.write_text("{")
    with pytest.raises(UserError, match="not JSON; delete it"):
        project.demand_current("train")


def test_a_checkout_is_not_laid_out(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError, match="this is a checkout"):
        project.lay_out()


def test_what_is_there_stays(package, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("params.yaml").write_text("mine")
    Path("dvc.yaml").write_text("stages: {}\n")
    lines = project.lay_out()
    assert Path("params.yaml").read_text() == "mine" and Path("dvc.yaml").read_text() == "stages: {}\n"
    assert any(line.startswith("dvc.yaml is not that of lipgan") for line in lines)
    assert {"code.json", "withdrawals.csv", ".dvc/config", "a git repository"} <= set(lines)
    assert [line for line in project.lay_out() if not line.startswith("dvc.yaml is not")] == []


@pytest.mark.parametrize("kind", ["empty", "in a repository", "without git"])
def test_dvc_has_the_settings_of_the_checkout_with_git_and_without(package, tmp_path, monkeypatch, kind):
    folder = tmp_path / "mine"
    folder.mkdir()
    if kind == "in a repository":
        git("init", "-q", str(tmp_path))
    if kind == "without git":
        monkeypatch.setattr(project.programs, "git", lambda *words: None)
    monkeypatch.chdir(folder)
    project.lay_out()
    wanted = configparser.RawConfigParser()
    wanted.read(ROOT / ".dvc/config")
    got = configparser.RawConfigParser()
    got.read(".dvc/config")
    assert wanted["core"].items() <= got["core"].items() and got.has_option("core", "no_scm") == (kind == "without git")
    dvc("status")
