"""The corpus of real people for LipGAN, as links: who is in it, how many clips of each, and the list of splits."""

import pytest

from tasks.acquire import split_list
from tasks.core.errors import UserError
from tasks.train import people

LISTED = {"s1": "train", "s31": "val", "p04": "test"}


@pytest.fixture
def sources(workspace, monkeypatch):
    (workspace / "who.csv").write_text("person,split\n" + "".join(f"{who},{of}\n" for who, of in LISTED.items()))
    monkeypatch.setattr(people, "SPLITS", workspace / "who.csv")
    for person, num in (("s1", 7), ("s31", 1), ("p04", 1)):
        (workspace / "grid/video" / person).mkdir(parents=True)
        for number in range(num):
            (workspace / f"grid/video/{person}/{number}.mpg").write_text(f"{person} {number}")
    for head in ("train-1", "train-2"):
        (workspace / "heads" / head).mkdir(parents=True)
        (workspace / f"heads/{head}/00001.mp4").write_text(head)
    return workspace


def linked(folder):
    people.run(folder / "grid", folder / "heads", folder / "people", 3)
    return {path.name: sorted(clip.read_text() for clip in path.iterdir()) for path in (folder / "people").iterdir()}


def test_each_person_has_at_most_so_many_clips_evenly_from_all(sources):
    one_clip = {"s31": ["s31 0"], "p04": ["p04 0"], "train-1": ["train-1"], "train-2": ["train-2"]}
    assert linked(sources) == one_clip | {"s1": ["s1 0", "s1 3", "s1 6"]}
    assert linked(sources)["s1"] == ["s1 0", "s1 3", "s1 6"]  # again: the same


def test_every_person_and_head_is_in_the_list_and_heads_are_in_train(sources):
    folders = linked(sources).keys()
    assert split_list.read(sources / "people.csv", folders) == LISTED | {"train-1": "train", "train-2": "train"}


def test_a_person_or_heads_that_are_missing_are_one_line(sources):
    (sources / "heads").rename(sources / "other")
    with pytest.raises(UserError, match=r"heads: no head in it; `python -m tasks\.motion\.rendered --out "):
        linked(sources)
    (sources / "other").rename(sources / "heads")
    (sources / "grid/video/p04/0.mpg").unlink()
    with pytest.raises(UserError, match=r"video/p04: no clip of this person$"):
        linked(sources)
