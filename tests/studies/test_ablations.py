import json
from pathlib import Path

import pytest
from conftest import TINY, params_text

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.expert import stage as expert_stage
from tasks.studies import ablations, ablations_page

TERM = {"begin": 0.0, "ramp": 0.0, "metric": "none", "below": 0.0}
WITH_EXPERT = {
    "train.batch_size": 6,
    "train.num_runs": 1,
    "train.val_samples": 6,
    "train.audio_from_expert": "frozen",
    "train.terms.expert": TERM | {"weight": 0.01},
    "train.terms.perceptual": TERM | {"weight": 0.1},
}


def load(**changes):
    Path("params.yaml").write_text(params_text(TINY | changes))
    return config.load(Path("params.yaml"))


def test_the_trainings_differ_only_in_the_losses(tiny):
    p = load(**WITH_EXPERT)
    trainings = {v.name: ablations.params_of(p, v, steps=10, seed=4).train for v in ablations.variants(p.train)}
    assert trainings["plain"].lip_alpha == 1 and trainings["cotrained"].lip_alpha == p.train.lip_alpha > 1
    active = {
        name: {term for term in ("sync", "expert", "quality", "perceptual") if getattr(t.terms, term).weight}
        for name, t in trainings.items()
    }
    assert active["none"] == set() and active["plain"] == active["cotrained"] == {"sync"}
    assert active["expert"] == {"sync", "expert", "perceptual"} and active["quality"] == active["expert"] | {"quality"}
    assert {t.lr for t in trainings.values()} == {p.train.lr} and {t.num_steps for t in trainings.values()} == {10}


def test_an_expert_without_weight_is_refused(tiny):
    with pytest.raises(UserError, match="have weight 0"):
        ablations.run(load(), steps=2, num_seeds=1)


@pytest.mark.slow
def test_five_trainings_give_tables_and_figures_and_are_not_repeated(tiny, monkeypatch):
    p = load(**WITH_EXPERT)
    expert_stage.run(p)
    ablations.run(p, steps=2, num_seeds=1)
    report = json.loads((paths.EXPERIMENTS / "experiments.json").read_text())
    assert [row["variant"] for row in report["trainings"]] == ["plain", "none", "cotrained", "expert", "quality"]
    assert all(-1 <= row["corr_right"] <= 1 and 0 <= row["discriminator"] <= 1 for row in report["trainings"])
    page = (paths.EXPERIMENTS / "experiments.html").read_text()
    assert page.count("data:image/png;base64,") == 3 and "lip-weighted L1" in page
    monkeypatch.setattr(ablations.programs, "train", None)  # a single training would fail
    ablations.run(p, steps=2, num_seeds=1)


def test_a_table_shows_the_mean_and_the_spread_of_the_seeds():
    rows = [
        {"variant": "none", "title": "nothing <else>", "seed": k, **dict.fromkeys(ablations_page.COLUMNS, value)}
        for k, value in enumerate((0.2, 0.4))
    ]
    table = ablations_page._table(rows)
    assert "0.30 (0.20 to 0.40)" in table and "nothing &lt;else&gt;" in table
