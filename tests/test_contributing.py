"""CONTRIBUTING.md and its neighbours are true: what they name exists; what no other test notices is noticed here."""

import re
import tomllib
from typing import get_args, get_type_hints

import pytest
import yaml
from conftest import ROOT

from flows.cli import COMMANDS
from flows.commands.stages import STAGES
from model.metrics.registry import METRICS
from model.params import CorpusParams
from tasks.acquire.stage import CORPORA
from tasks.core import paths
from tasks.evaluate import conditions
from tasks.evaluate.measure import Meters, measure, reference_of
from tasks.evaluate.raw_clips import RawClips
from tasks.features.mesh_points import MeshPoints
from tasks.inference.sync_meter import SyncMeter
from tasks.loading.clips import Clips

PAGES = {name: (ROOT / name).read_text() for name in ("CONTRIBUTING.md", "SECURITY.md")}
NAMED = sorted(
    {
        name
        for text in PAGES.values()
        for name in re.findall(r"`((?:flows|tasks|model|tests|benchmarks|examples|\.ci)/[\w./-]*)`", text)
    }
)
VERSIONS = [
    (path, line)
    for room in ("model", "tasks")
    for path in sorted((ROOT / room).rglob("*.py"))
    for line in path.read_text().splitlines()
    if re.match(r"[A-Z0-9_]+_VERSION = ", line)
]
# what `measure` notes of a clip beside metrics: its name and what plots are drawn from
NO_METRIC = {"row", "frames", "lags", "opening", "visemes", "yaw", "expert_lags"}


@pytest.mark.parametrize("name", NAMED)
def test_files_that_are_named_exist(name):
    assert (ROOT / name).exists()


def test_links_lead_somewhere():
    text = PAGES["CONTRIBUTING.md"]
    assert all((ROOT / name).is_file() for name in re.findall(r"\]\((?!https?:|#)([^)#]+)", text))
    titles = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= titles


def test_names_in_capitals_exist():
    code = "\n".join(path.read_text() for room in ("flows", "tasks", "model") for path in (ROOT / room).rglob("*.py"))
    code += (ROOT / "tests/flows/test_pipeline.py").read_text()
    named = set(re.findall(r"`([A-Z][A-Z_]+[A-Z])`", PAGES["CONTRIBUTING.md"]))
    assert named and [name for name in sorted(named) if not re.search(rf"^{name}\b", code, re.M)] == []


@pytest.mark.parametrize(("path", "line"), VERSIONS, ids=[line.split(" ")[0] for _, line in VERSIONS])
def test_a_version_says_when_it_is_raised(path, line):
    assert "raise it when" in line, path


def test_all_that_name_the_version_name_the_same():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert newest and (version, version) == (newest[1], cited["version"]) and newest[2] == cited["date-released"]


def test_the_hooks_before_a_commit_call_what_make_lint_calls():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    hooked = [hook["entry"].replace(".venv/bin/", "").replace(" --force-exclude", "") for hook in hooks]
    assert lint and hooked == [line.strip().removesuffix(" .") for line in lint[1].splitlines()]


def test_the_forge_runs_the_one_check_on_the_oldest_and_the_newest_python():
    [job] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]


def test_every_stage_has_a_command_and_a_flow():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert set(STAGES) == set(stages)
    assert all((ROOT / f"flows/{stage}.py").is_file() for stage in stages)


def test_every_module_of_commands_is_a_command():
    modules = {path.stem for path in (ROOT / "flows/commands").glob("*.py")} - {"__init__"}
    assert modules == {module.__name__.rsplit(".", 1)[-1] for module in COMMANDS}


def test_every_corpus_of_the_schema_is_one_that_acquire_knows():
    assert set(CORPORA) == set(get_args(get_type_hints(CorpusParams)["name"]))
    assert all(hasattr(corpus, name) for corpus in CORPORA.values() for name in ("versions", "clips", "fetch"))


def test_every_metric_is_measured_and_every_figure_is_a_metric(trained):
    clips, raw = Clips(paths.INDEX, paths.SHARDS, "test"), RawClips(paths.CLIPS, paths.RAW)
    meters = Meters(MeshPoints(), max_lag=7, expert=SyncMeter())
    to = reference_of(clips[0], clips.keys[0], meters, raw)
    record = measure("right_audio", conditions.late(clips[0].faces_TSS3, 2), to, meters)
    assert {name for name, metric in METRICS.items() if not metric.optional} - set(record) == set()
    assert set(record) - set(METRICS) - NO_METRIC == set()
