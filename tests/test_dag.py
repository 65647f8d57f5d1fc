"""dvc.yaml, the code and params.yaml describe one pipeline; none of them may fall behind."""

from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from flows import preflight
from model.params import Params
from tasks.provenance import stage_deps

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def test_a_stage_depends_on_all_the_code_it_runs_and_on_no_other():
    assert stage_deps.changes((ROOT / "dvc.yaml").read_text(), ROOT) == [], "python -m flows deps --write mends it"


def test_deps_writes_what_is_missing_and_takes_out_what_is_too_much_and_touches_nothing_else():
    right = (ROOT / "dvc.yaml").read_text()
    lacks = right.replace("      - model/gan.py\n", "")
    too_many = right.replace("      - withdrawals.csv\n", "      - withdrawals.csv\n      - model/alarms.py\n")
    assert lacks != right != too_many
    assert stage_deps.changes(lacks, ROOT) == ["train: + model/gan.py"]
    assert stage_deps.changes(too_many, ROOT) == ["acquire: - model/alarms.py"]
    assert stage_deps.written(lacks, ROOT) == stage_deps.written(too_many, ROOT) == right


def test_editing_a_progress_bar_or_the_log_of_mlflow_trains_nothing_again():
    for file in stage_deps.RESULT_NEUTRAL:
        assert (ROOT / file).is_file(), file
        assert f"- {file}" not in (ROOT / "dvc.yaml").read_text()


def test_the_expert_does_not_depend_on_the_gan():
    code = stage_deps.closure("expert", ROOT)
    assert not {"model/gan.py", "tasks/train/loop.py", "tasks/inference/lip_sync.py"} & set(code)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_what_another_writes(stage):
    written = {
        name for other in STAGES.values() for out in other["outs"] for name in ([out] if isinstance(out, str) else out)
    }
    data = {dep for dep in STAGES[stage]["deps"] if not dep.endswith(".py") and not dep.startswith("${")}
    held_by_git = {"withdrawals.csv", *(f"released/{path.name}" for path in (ROOT / "released").iterdir())}
    assert data <= written | held_by_git


def test_every_section_of_params_is_a_parameter_of_some_stage():
    used = {name.split(".")[0] for stage in STAGES.values() for name in stage.get("params", [])}
    assert used == set(PARAMS) - {"retrain"}  # no stage: a decision


def test_the_check_before_a_stage_knows_where_every_stage_writes():
    assert preflight.STAGE_WRITES.keys() == STAGES.keys() and set(preflight.TRACKED) <= STAGES.keys()


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
