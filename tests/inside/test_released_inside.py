"""The released weights of the mouth's inside: what their JSON says of them, and what they paint for a person unseen."""

import hashlib
import json

import pytest
from conftest import REAL

from benchmarks import inside as benchmark
from model.inside import InsideNet
from tasks.features import lip_refiner, mesh_model
from tasks.inference import inside_weights, motion_weights
from tasks.inside.__main__ import EXAMPLE
from tasks.motion import folders

ABOUT = json.loads(inside_weights.RELEASED.with_suffix(".json").read_text())
CLIP = REAL / "grid_lbax4n.mpg"


def test_people_of_val_and_test_are_never_trained_on():
    people = {split: set(ABOUT["data"][split]["people"]) for split in ("train", "val", "test")}
    assert people["train"] <= {"s1", "s4", "s16", "s25", "p01", "p02"}
    assert people["val"] <= {"s31", "p03"} and people["test"] == {"s27", "p04", "p05", "p06", "p07", "p08"}
    assert {name: set(ABOUT["figures"][name]) for name in ("val", "test")} == {n: people[n] for n in ("val", "test")}


def test_the_json_states_licence_attribution_and_a_command_that_parses():
    assert ABOUT["licence"] == "CC BY 4.0" and ABOUT["attribution"].startswith("GRID audiovisual sentence corpus")
    program, arguments = ABOUT["command"].split(" --data ", 1)
    assert program == "python -m tasks.inside" and arguments
    assert "--out" in EXAMPLE and folders.parser(program, "", EXAMPLE).prog == program


def test_the_json_names_the_models_that_read_the_mouths():
    """The refiner may be an earlier one; it is then the one that the motion network was trained with, too."""
    refiner = ABOUT["mouths_read_by"]["lip_refiner"]
    present = hashlib.sha256(lip_refiner.RELEASED.read_bytes()).hexdigest()
    of_motion = json.loads(motion_weights.RELEASED.with_suffix(".json").read_text())["mouths_read_by"]
    assert ABOUT["mouths_read_by"]["face_mesh"] == mesh_model.SHA256 and refiner in (present, of_motion["lip_refiner"])


def test_the_weights_fit_and_are_small():
    net = inside_weights.load(inside_weights.RELEASED)
    assert isinstance(net, InsideNet) and inside_weights.RELEASED.stat().st_size < 6e6


@pytest.mark.skipif(not CLIP.is_file(), reason="the real clips in ../shared/real are not here")
@pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`")
def test_an_unseen_person_is_painted_nearer_to_the_truth_than_dark(tmp_path):
    """The library holds closed mouths alone."""
    rows = benchmark.person(CLIP, tmp_path, inside_weights.load(inside_weights.RELEASED), None)
    assert rows["painted"]["frames"] > 10
    assert rows["painted"]["psnr_db"] > rows["dark"]["psnr_db"] + 3
    assert rows["painted"]["ssim"] > rows["dark"]["ssim"]
