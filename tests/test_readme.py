"""What the README prints can be typed: every command parses, every parameter and file it names exists."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from flows.__main__ import parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(?:bash|sh)\n(.*?)```", README, re.S)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.split("#")[0].strip()]


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m flows")])
def test_commands_of_ours_parse(command):
    parser().parse_args(shlex.split(command)[3:])


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_targets_exist(command):
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("dvc")])
def test_dvc_commands_name_stages_and_parameters_that_exist(command):
    words = shlex.split(command)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in re.findall(r"(?:-S|--set-param) ([\w.]+)=", command):
        place = params
        for part in name.split("."):
            place = place[part]
    if words[1] == "repro":
        stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
        assert {word for word in words[2:] if not word.startswith("-")} <= set(stages)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_of_a_kind_that_is_checked_here(command):
    plain = re.sub(r"^([A-Z0-9_]+=\S+ )*", "", command)  # variables before it
    ours = ("make ", "python -m flows", "python -m tasks.train")
    assert plain.startswith((*ours, "dvc ", "git ", "cd ", "cp ", "pip install", "export ", "prefect ", "torchrun "))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:flows|tasks|model|tests|benchmarks)/[\w./]*)`", README))))
def test_files_that_are_named_exist(name):
    assert (ROOT / name).exists()


def test_help_of_every_command_shows_an_example():
    [commands] = [action for action in parser()._actions if action.dest == "command"]
    for name, command in commands.choices.items():
        assert f"python -m flows {name}" in command.format_help()
