"""From a video file to a training clip. The clip is a rendered head with a known mouth opening."""

import os
from pathlib import Path

import numpy as np
import pytest

from tasks.core import config
from tasks.core.errors import UserError
from tasks.features import lip_refiner, mesh_model
from tasks.motion import clips, measure
from tasks.motion.__main__ import order
from tasks.synthetic.clip import render
from tasks.synthetic.plan import plan

P = config.load(Path("params.yaml")).motion
needs_mesh = pytest.mark.skipif(
    not (mesh_model.path().is_file() and lip_refiner.RELEASED.is_file()),
    reason=f"no face mesh or no lip refiner: run `{mesh_model.COMMAND}`",
)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A data folder with one rendered person and one unreadable video, and the true openings."""
    folder = tmp_path_factory.mktemp("data")
    spec = next(spec for spec in plan(0, "tiny") if spec.split == "train")
    clip = render(spec)
    (folder / "ann").mkdir()
    (folder / "ann/1.mp4").write_bytes(clip.mp4)
    (folder / "bob").mkdir()
    (folder / "bob/1.mp4").write_bytes(b"no video at all")
    return folder, clip.truth


@needs_mesh
def test_a_rendered_head_is_read_with_its_true_opening_and_an_unreadable_video_is_reported(
    rendered, tmp_path, monkeypatch, capsys
):
    folder, truth = rendered
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path))
    [clip] = clips.load(clips.sources([folder]), P)
    assert (clip.person, clip.name) == ("ann", "1")
    assert clip.power_CM.shape == (4 * len(clip.mouth_TS3), P.num_bands)
    assert measure.correlation(clip.opening_T, np.array(truth["aperture"][: len(clip.opening_T)])) > 0.8
    assert "skipped bob/1.mp4: unreadable" in capsys.readouterr().err

    cached = list(tmp_path.rglob("*.npz"))
    assert len(cached) == 1
    [again] = clips.load(clips.sources([folder])[:1], P)
    assert np.array_equal(again.mouth_TS3, clip.mouth_TS3)


def test_each_top_level_folder_or_video_of_a_data_folder_is_a_person(tmp_path):
    for name in ("ann/1.mp4", "ann/more/2.MPG", "carol.mp4", "ann/notes.txt"):
        file = tmp_path / "one" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "two/dan").mkdir(parents=True)
    (tmp_path / "two/dan/1.mp4").touch()
    sources = clips.sources([tmp_path / "one", tmp_path / "two"])
    assert [(source.person, source.video.name, source.folder) for source in sources] == [
        ("ann", "1.mp4", 0), ("ann", "2.MPG", 0), ("carol", "carol.mp4", 0), ("dan", "1.mp4", 1),
    ]  # fmt: skip


def test_links_to_persons_folders_are_entered_and_a_pipe_is_not_opened(tmp_path):
    (tmp_path / "elsewhere/ann").mkdir(parents=True)
    (tmp_path / "elsewhere/ann/1.mp4").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/ann").symlink_to(tmp_path / "elsewhere/ann")
    os.mkfifo(tmp_path / "data/bob.mp4")
    assert [source.person for source in clips.sources([tmp_path / "data"])] == ["ann"]


def test_a_folder_without_a_video_and_a_person_in_two_folders_are_user_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="contains no video"):
        clips.sources([tmp_path / "empty"])
    for folder in ("one", "two"):
        (tmp_path / folder / "ann").mkdir(parents=True)
        (tmp_path / folder / "ann/1.mp4").touch()
    with pytest.raises(UserError, match="ann is also in another data folder"):
        clips.sources([tmp_path / "one", tmp_path / "two"])


def test_the_command_line_is_recorded_in_the_order():
    parsed = order(["--data", "videos", "--val", "bob", "--test", "p0[4-8]", "--out", "m.safetensors"])
    assert parsed.command == "python -m tasks.motion --data videos --val bob --test 'p0[4-8]' --out m.safetensors"
    assert (parsed.data, parsed.val, parsed.test) == ((Path("videos"),), ("bob",), ("p0[4-8]",))
