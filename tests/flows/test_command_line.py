"""The command line itself: its help, what reading it imports, its version and its completion."""

import importlib
import json
import os
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT, params_text

from flows import cli
from tasks.core.version import version

HEAVY = (
    "av cv2 dlib dvc fastapi librosa matplotlib mlflow numpy prefect pyarrow scipy torch tqdm yaml tasks.core.config"
)


def python(*words, cwd=ROOT):
    return subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("words", [["--help"], ["dub", "--help"], ["--version"]])
def test_help_and_version_import_no_library(words):
    code = f"""import json, sys
from flows.cli import main
try:
    main({words!r})
except SystemExit as exit:
    assert not exit.code
sys.stderr.write(json.dumps(sorted(sys.modules)))"""
    ran = python("-c", code)
    assert ran.stdout and not set(json.loads(ran.stderr)) & set(HEAVY.split())


def test_a_bad_value_of_the_gate_is_refused_before_anything_is_loaded(workspace):
    (workspace / "params.yaml").write_text(params_text({"retrain.metric": "sharpness_ratio"}))
    code = """import sys
from flows.cli import main
assert main(["retrain"]) == 2
assert not {"prefect", "mlflow", "torch"} & set(sys.modules)"""
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == (
        "error: params.yaml: retrain.metric must be one of aperture_corr, aperture_best_corr, got 'sharpness_ratio'\n"
    )


def test_the_help_lists_every_command_once_under_its_group_in_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli.parser("lipgan").format_help().splitlines()
    [commands] = [action for action in cli.parser()._actions if action.dest == "command"]
    for name in commands.choices:
        [line] = [line for line in lines if line.split()[:1] == [name]]
        following = lines[lines.index(line) + 1]
        assert not following.startswith(" " * 6), following  # its text ends in its own line
    assert [line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")] == [*cli.GROUPS, "options"]


@pytest.mark.parametrize(
    ("path", "prog"),
    [("/usr/bin/lipgan", "lipgan"), ("lipgan.exe", "lipgan"), ("/a/flows/__main__.py", "python -m flows")],
)
def test_the_help_calls_the_program_as_it_was_called(path, prog):
    assert cli.called_as(path) == prog
    [commands] = [action for action in cli.parser(prog)._actions if action.dest == "command"]
    text = commands.choices["live"].format_help()
    assert text.count(f"{prog} live ") >= 3 and ("lipgan live" in text) == (prog == "lipgan")


def test_the_version_is_that_of_the_project():
    assert version() == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert python("-m", "flows", "--version").stdout == f"lipgan {version()}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "lipgan" in script and "--side-by-side" in script and "import-tracking" in script


def test_bash_completes_an_option(capsys, tmp_path):
    cli.main(["completion", "bash"])
    (tmp_path / "lipgan").write_text(capsys.readouterr().out)
    code = 'source ./lipgan; COMP_WORDS=(lipgan dub --driv); COMP_CWORD=2; _shtab_lipgan; echo "${COMPREPLY[@]}"'
    ran = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["--driving-audio"]


def test_the_old_name_of_a_module_says_the_new_one():
    ran = python("-m", "tasks.config")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "error: tasks.config is tasks.core.config now; run `python -m tasks.core.config`\n"


def test_the_old_name_of_an_option_is_still_read():
    words = ["dub", "--face", "a", "--out", "b", "--audio", "c"]
    assert cli.parser().parse_args([*words, "--ear", "raw"]).driving_audio == "raw"
    assert cli.parser().parse_args(words).driving_audio == "auto"


def test_every_package_says_that_it_is_typed():
    assert all((ROOT / package / "py.typed").is_file() for package in ("flows", "tasks", "model"))


def test_the_packages_contain_every_file_of_their_folders():
    """What `pip install .` copies: modules, and files by the patterns of pyproject.toml; and what it starts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = [*project["tool"]["setuptools"]["package-data"]["*"], "*.py"]
    names = subprocess.run(["git", "ls-files", "flows", "tasks", "model"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / name for name in names.stdout.split()]
    assert [file for file in files if not any(file.match(pattern) for pattern in patterns)] == []
    assert [file for file in files if not (file.parent / "__init__.py").is_file()] == []
    assert "released" in project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert project["tool"]["setuptools"]["package-data"]["released"] == ["*"]
    module, _, name = project["project"]["scripts"]["lipgan"].partition(":")
    assert getattr(importlib.import_module(module), name) is cli.main
