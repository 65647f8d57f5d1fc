"""LipGAN trained on real people for seconds: it improves, is released, and is used where nothing is trained."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY, inside, params_text, run_acquire, run_preprocess

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.dubbing import networks
from tasks.expert import stage as expert
from tasks.inference import checkpoints, lip_sync, sync_meter
from tasks.inference.lip_sync import LipSync
from tasks.train import release
from tasks.train import stage as train
from tasks.train.state import States

GRID = ROOT.parent / "shared/grid"
real = pytest.mark.skipif(not GRID.is_dir(), reason="the people of GRID in ../shared/grid are not here")
PEOPLE = {"s1": "train", "s16": "train", "s31": "val", "p04": "test"}
PARAMS = TINY | {
    "corpus.name": "grid",
    "corpus.grid.source": "folder",
    "corpus.grid.folder": "grid",
    "corpus.grid.speakers": list(PEOPLE),
    "corpus.splits": "who.csv",
    "faces.mesh": False,
    "expert.num_steps": 8,
    "train.num_steps": 60,
    "train.batch_size": 8,
    "train.lr": 2.0e-3,
    "train.average": 0.9,
    "train.audio_from_expert": "first",
    "train.log_every": 10,
    "train.val_every": 10,
    "train.val_samples": 16,
    "train.checkpoint_every": 30,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project that was trained on two clips of two people, and its released/."""
    folder = tmp_path_factory.mktemp("grid")
    for person in PEOPLE:
        video = min((GRID / "video" / person).iterdir())
        (folder / "grid/video" / person).mkdir(parents=True)
        shutil.copy(video, folder / "grid/video" / person)
    (folder / "who.csv").write_text("person,split\n" + "".join(f"{who},{split}\n" for who, split in PEOPLE.items()))
    (folder / "params.yaml").write_text(params_text(PARAMS))
    with inside(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPGAN_TRACKING", "jsonl")
        torch.set_num_threads(1)
        p = config.load(paths.PARAMS)
        run_acquire(p)
        run_preprocess(p)
        expert.run(p)
        train.run(p)
    return folder


@pytest.fixture
def released(folder, monkeypatch, tmp_path):
    """Current directory: the trained project; what is released goes to a folder of the test."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LIPGAN_CACHE", str(folder / ".cache"))
    for module in (lip_sync, sync_meter):
        monkeypatch.setattr(module, "RELEASED", tmp_path / "released" / module.RELEASED.name)
    (tmp_path / "released").mkdir()
    monkeypatch.setattr(release, "LEAST_2AFC", 0.0)
    release.run(config.load(paths.PARAMS))
    return tmp_path / "released"


@real
def test_seconds_of_training_on_real_people_improve_the_mouth(folder):
    rows = (folder / paths.TRAIN_CURVE).read_text().splitlines()
    column = rows[0].split(",").index("val_mouth_l1")
    val = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
    assert val[-1] < 0.8 * val[0], val


@real
def test_what_is_released_says_on_whom_and_under_what_licence_it_was_trained(released):
    for name in ("generator", "expert"):
        about = json.loads((released / f"{name}.json").read_text())
        assert about["people"] == {"test": {"p04": 1}, "train": {"s1": 1, "s16": 1}, "val": {"s31": 1}}
        assert about["licence"] == "CC BY 4.0" and "10.5281/zenodo.3625687" in about["attribution"][0]
        assert about["command"].startswith("make lipgan")
    about = json.loads((released / "generator.json").read_text())
    assert (about["steps"], about["of"]) == (60, 60)


@real
def test_half_precision_changes_no_pixel_by_more_than_three_levels(released):
    rng = np.random.default_rng(0)
    faces_TSS3 = rng.integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    windows_TFW = rng.normal(size=(3, 12, 35)).astype(np.float32)
    stored, whole = (
        LipSync(path).generate(faces_TSS3[0], faces_TSS3, windows_TFW).astype(int)
        for path in (lip_sync.RELEASED, paths.GENERATOR)
    )
    assert np.abs(stored - whole).max() <= 3
    size = {path: path.stat().st_size for path in (lip_sync.RELEASED, paths.GENERATOR)}
    assert size[lip_sync.RELEASED] < 0.6 * size[paths.GENERATOR]


@real
def test_an_unfinished_training_is_released_with_its_steps(released):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(params_text(PARAMS | {"train.num_steps": 40, "train.time_limit_s": 1}))
    try:
        p = config.load(paths.PARAMS)
        with pytest.raises(UserError, match=r"state\.pt: no such file; `python -m flows train` begins the training"):
            release.run(p, unfinished=True)
    finally:
        Path("params.yaml").write_text(text)
    finished, _ = checkpoints.load(lip_sync.RELEASED)
    being_written = States(config.load(paths.PARAMS)).last.with_name(".state.pt.abc")  # by a training that still runs
    being_written.mkdir()
    release.run(config.load(paths.PARAMS), unfinished=True)  # its last state is that of the last step
    weights, about = checkpoints.load(lip_sync.RELEASED)
    assert all(torch.equal(weights[name], finished[name]) for name in finished)
    assert about["steps"] == 60 and about["network"] == "generator" and being_written.is_dir()


@real
def test_lipgan_is_the_trained_network_where_there_is_one_and_otherwise_the_released(released, monkeypatch, tmp_path):
    assert networks.lipgan(None, None).checkpoint == paths.GENERATOR
    by_name = networks.lipgan("released", None)
    assert (by_name.checkpoint, by_name.expert) == (lip_sync.RELEASED, sync_meter.RELEASED)
    assert by_name.describe() == "released LipGAN, step 60, width 0.125, corpora grid"
    monkeypatch.chdir(tmp_path)
    assert networks.lipgan(None, None).checkpoint == lip_sync.RELEASED


@real
def test_an_expert_that_cannot_judge_unseen_people_is_not_released(released, monkeypatch):
    monkeypatch.setattr(release, "LEAST_2AFC", 1.01)
    assert "without the expert, right in" in release.run(config.load(paths.PARAMS))
    assert [path.name for path in sorted(released.iterdir())] == ["generator.json", "generator.safetensors"]
    assert networks.lipgan("released", None).expert is None


@pytest.mark.usefixtures("trained")
def test_weights_of_data_that_is_not_open_are_not_released():
    with pytest.raises(UserError, match=r"index\.parquet: trained on data under '.*'; only weights of CC BY 4.0 data"):
        release.run(config.load(paths.PARAMS))
