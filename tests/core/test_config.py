import re

import pytest
from conftest import ROOT, params_text

from tasks.core import config
from tasks.core.errors import UserError


def load(tmp_path, changes):
    (tmp_path / "p.yaml").write_text(params_text(changes))
    return config.load(tmp_path / "p.yaml")


def test_the_file_of_the_repository_is_valid():
    config.load(ROOT / "params.yaml")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("train.lrr", 1.0, "train.lrr is not a parameter; known: "),
        ("train.lr", -1.0, "train.lr must be from 0 to 1, got -1.0"),
        ("train.lr", "1e-3", "train.lr must be float, got '1e-3'; YAML reads 1e-3 as text, write 1.0e-3"),
        ("train.augment.flip", 1, "train.augment.flip must be bool, got 1"),
        ("train.num_steps", True, "train.num_steps must be int, got True"),
        ("faces.size", 100, "faces.size must be a multiple of 96, got 100"),
        ("faces.smooth_frames", 4, "faces.smooth_frames must be odd, got 4"),
        ("corpus.name", "lrs3", "corpus.name must be one of synthetic, folder, lrs2, grid, got 'lrs3'"),
        ("corpus.num_shards", {"train": 1}, "corpus.num_shards.hard is missing"),
        ("corpus.num_shards.train", "many", "corpus.num_shards.train must be a number or auto, got 'many'"),
        ("corpus.num_shards.train", 0, "corpus.num_shards.train must be from 1 to 10000, got 0"),
        ("evaluate.splits", ["hard"], "evaluate.splits must begin with test"),
        ("train.augment.snr_db", [20.0, 0.0], "augment.snr_db must be [lowest, highest], got [20.0, 0.0]"),
        ("expert.augment.silent", 0.1, "expert.augment.silent must be 0: silence fits every closed mouth"),
        ("corpus.licence", "\ud800", r"corpus.licence has half a character in it: \ud800"),
        ("retrain.min_amplitude_ratio", 3.0, "retrain.min_amplitude_ratio is 3, above retrain.max_amplitude_ratio 2"),
        ("train", 3, "train must be a section of parameters, got 3"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_key(tmp_path, name, value, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        load(tmp_path, {name: value})
    assert "\n" not in str(caught.value)


def test_an_integer_is_accepted_as_a_float(tmp_path):
    assert load(tmp_path, {"train.lip_alpha": 6}).train.lip_alpha == 6.0


def test_the_digest_ignores_comments_and_order(tmp_path):
    one = config.load(ROOT / "params.yaml")
    two = load(tmp_path, {})  # dumped sorted, without comments
    assert config.digest(one) == config.digest(two)
    assert config.digest(one) != config.digest(load(tmp_path, {"train.lr": 0.5}))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file; run from the repository root"):
        config.load(tmp_path / "none.yaml")


def test_outside_a_project_the_parameters_are_those_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config.load_here() == config.load(ROOT / "params.yaml")
    (tmp_path / "params.yaml").write_text(params_text({"model.generator": "lipgan"}))
    assert config.load_here().model.generator == "lipgan"
