"""dvc.yaml, the code and params.yaml describe one pipeline; none of them may fall behind."""

import ast
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from model.params import Params

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def own_imports(path: Path) -> set[Path]:
    """Files of this repository that `path` imports, packages' __init__ included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {f for name in names if (f := ROOT / (name.replace(".", "/") + ".py")).is_file()}


def closure(path: Path) -> set[str]:
    seen, todo = set(), [path]
    while todo:
        if (here := todo.pop()) not in seen:
            seen.add(here)
            todo += own_imports(here)
    return {str(file.relative_to(ROOT)) for file in seen}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_the_code_it_runs_and_on_no_other(stage):
    code = closure(ROOT / "flows" / f"{stage}.py")
    listed = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert sorted(code - listed) == [] and sorted(listed - code) == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_what_another_writes(stage):
    written = {
        name for other in STAGES.values() for out in other["outs"] for name in ([out] if isinstance(out, str) else out)
    }
    data = {dep for dep in STAGES[stage]["deps"] if not dep.endswith(".py") and not dep.startswith("${")}
    assert data <= written | {"withdrawals.csv"}  # which people write


def test_every_section_of_params_is_a_parameter_of_some_stage():
    used = {name.split(".")[0] for stage in STAGES.values() for name in stage.get("params", [])}
    assert used == set(PARAMS) - {"retrain"}  # which decides what serves, and makes nothing


def test_params_yaml_and_the_schema_hold_the_same_names():
    def names(schema):
        hints = get_type_hints(schema)
        return {
            f.name: names(hints[f.name]) if hasattr(hints[f.name], "__dataclass_fields__") else None
            for f in fields(schema)
        }

    def given(values):
        return {k: given(v) if isinstance(v, dict) else None for k, v in values.items()}

    assert names(Params) == given(PARAMS)


def test_no_stage_uses_persist():
    assert "persist: true" not in (ROOT / "dvc.yaml").read_text()  # it switches DVC's run-cache off
