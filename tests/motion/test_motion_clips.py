"""From a video file to what the network trains on. The clip is a rendered head, whose true opening is known."""

from pathlib import Path

import numpy as np
import pytest

from tasks.core.errors import UserError
from tasks.features import lip_refiner, mesh_model
from tasks.motion import clips, measure
from tasks.motion.__main__ import order
from tasks.synthetic.clip import render
from tasks.synthetic.plan import plan

needs_mesh = pytest.mark.skipif(
    not (mesh_model.path().is_file() and lip_refiner.RELEASED.is_file()),
    reason=f"no face mesh or no lip refiner: run `{mesh_model.COMMAND}`",
)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A data folder with one rendered person and a video that is none, and the true openings."""
    folder = tmp_path_factory.mktemp("data")
    spec = next(spec for spec in plan(0, "tiny") if spec.split == "train")
    made = render(spec)
    (folder / "ann").mkdir()
    (folder / "ann/1.mp4").write_bytes(made.mp4)
    (folder / "bob").mkdir()
    (folder / "bob/1.mp4").write_bytes(b"no video at all")
    return folder, made.truth


@needs_mesh
def test_a_rendered_head_is_read_with_its_true_opening_and_what_is_no_video_is_said(
    rendered, tmp_path, monkeypatch, capsys
):
    folder, truth = rendered
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path))
    [clip] = clips.load(clips.sources([folder]))
    assert (clip.person, clip.name) == ("ann", "1")
    assert len(clip.sound) == 640 * len(clip.mouth_TS3)
    assert measure.correlation(clip.opening_T, np.array(truth["aperture"][: len(clip.opening_T)])) > 0.8
    assert "left out bob/1.mp4: unreadable" in capsys.readouterr().err

    kept = list(tmp_path.rglob("*.npz"))
    assert len(kept) == 1
    [again] = clips.load(clips.sources([folder])[:1])
    assert np.array_equal(again.mouth_TS3, clip.mouth_TS3)


def test_a_person_is_the_first_level_of_a_data_folder(tmp_path):
    for name in ("ann/1.mp4", "ann/more/2.MPG", "carol.mp4", "ann/notes.txt"):
        file = tmp_path / "one" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "two/dan").mkdir(parents=True)
    (tmp_path / "two/dan/1.mp4").touch()
    found = clips.sources([tmp_path / "one", tmp_path / "two"])
    assert [(of.person, of.video.name, of.folder) for of in found] == [
        ("ann", "1.mp4", 0), ("ann", "2.MPG", 0), ("carol", "carol.mp4", 0), ("dan", "1.mp4", 1),
    ]  # fmt: skip


def test_a_folder_without_a_video_and_a_person_in_two_folders_are_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no video in it"):
        clips.sources([tmp_path / "empty"])
    for folder in ("one", "two"):
        (tmp_path / folder / "ann").mkdir(parents=True)
        (tmp_path / folder / "ann/1.mp4").touch()
    with pytest.raises(UserError, match="ann is a person of another data folder"):
        clips.sources([tmp_path / "one", tmp_path / "two"])


def test_the_command_line_is_kept_for_the_record():
    given = order(["--data", "videos", "--val", "bob", "--test", "p0[4-8]", "--out", "m.safetensors"])
    assert given.command == "python -m tasks.motion --data videos --val bob --test 'p0[4-8]' --out m.safetensors"
    assert (given.data, given.val, given.test) == ((Path("videos"),), ("bob",), ("p0[4-8]",))
