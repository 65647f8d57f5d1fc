"""The weights released with the code: small enough for git, with a licence, and described by the card as they are."""

import hashlib
import json

import pytest
from conftest import ROOT

WEIGHTS = sorted((ROOT / "released").glob("*.safetensors"))
CARD = (ROOT / "docs/released.md").read_text()
LISTED = [line.split(",") for line in (ROOT / "released/splits.csv").read_text().splitlines()[1:]]
MOST_BYTES = 20e6


def test_everything_released_is_at_most_20_mb():
    assert sum(path.stat().st_size for path in (ROOT / "released").iterdir()) < MOST_BYTES


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: path.name)
def test_the_card_names_each_file_with_its_hash_and_the_json_its_licence(path):
    assert f"| `{path.name}` | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in CARD, "docs/released.md, Hashes"
    about = json.loads(path.with_suffix(".json").read_text())
    assert about["licence"] == "CC BY 4.0" and about["attribution"] and about["command"]


@pytest.mark.parametrize("path", [path for path in WEIGHTS if path.stem in ("generator", "expert")])
def test_nobody_of_val_and_test_was_trained_on(path):
    people = json.loads(path.with_suffix(".json").read_text())["people"]
    for split in ("train", "val", "test"):
        of_grid = {person for person in people[split] if not person.startswith("train-")}  # those are rendered heads
        assert of_grid == {person for person, of in LISTED if of == split}
