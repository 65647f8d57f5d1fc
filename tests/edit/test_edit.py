"""`lipgan edit` from a real video and two texts to the edited video; its JSON and mark."""

import json
import shutil
from pathlib import Path

import c2pa
import numpy as np
import pytest
from conftest import REAL, ROOT

from tasks.core.errors import UserError
from tasks.core.files import sha256_file
from tasks.dubbing import networks
from tasks.edit import describe, edit, picture, preview
from tasks.edit.pieces import Piece
from tasks.edit.sound import Edited, Made
from tasks.features import mesh_model
from tasks.media import decode, native_rate
from tasks.provenance import c2pa_mark
from tasks.words.align import Word

CLIPS = sorted(REAL.glob("*.mpg"))
real = pytest.mark.skipif(
    not (CLIPS and mesh_model.path().is_file() and networks.MOTION.is_file()),
    reason="no real clips, mesh model or motion network here",
)


def words(*spans):
    return [Word(word, start_s, end_s, 0.9, ()) for word, start_s, end_s in spans]


SAID = words(("one", 0.2, 0.6), ("two", 0.6, 1.1), ("three", 1.1, 1.6), ("four", 1.6, 2.2))


@pytest.fixture
def project(tmp_path, monkeypatch):
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed (extra words)")
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(CLIPS[0], tmp_path / "talk.mpg")
    return tmp_path


def order(to="one two four", **more):
    return edit.Order(face=Path("talk.mpg"), transcript=SAID, to=to, **more)


@real
def test_an_edit_is_marked_lists_its_edits_and_is_kept_when_nothing_changed(project, monkeypatch, capsys):
    out = edit.run(order(), "out/a.mp4")
    about = json.loads(out.with_suffix(".json").read_text())
    [one] = about["edits"]
    assert (one["what"], one["removed"], one["added"]) == ("cut", "three", "")
    assert [piece["origin"] for piece in about["pieces"]] == ["kept", "kept"] and len(about["joints"]) == 1
    num = len(list(native_rate.pictures(out)))
    assert about["frames"] == num < len(list(native_rate.pictures(Path("talk.mpg"))))
    assert len(decode.decode_sound(out)) / 16000 == pytest.approx(num / 25, abs=0.07)
    mark = c2pa_mark.read(out)
    assert mark.state == "valid" and mark.about["edits"] == about["edits"]
    assert "removed three" in c2pa_mark.text(mark)
    with c2pa.Reader("video/mp4", out.open("rb")) as reader:
        [manifest] = [one for one in json.loads(reader.json())["manifests"].values() if "lineage" in str(one)]
    done = [one for part in manifest["assertions"] for one in part["data"].get("actions", [])]
    assert [one["action"] for one in done] == ["c2pa.created", "c2pa.edited"] and "'three'" in done[1]["description"]
    assert not list(out.parent.glob(".*"))
    made = sha256_file(out)
    monkeypatch.setattr(picture, "watch", None)
    edit.run(order(), "out/a.mp4")
    assert "up to date" in capsys.readouterr().err and sha256_file(out) == made


@real
def test_an_interrupted_edit_goes_on_with_the_same_sound(project, monkeypatch):
    rendered = picture.Output.render

    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(picture.Output, "render", stop)
    with pytest.raises(KeyboardInterrupt):
        edit.run(order(), "out/a.mp4")
    monkeypatch.setattr(picture.Output, "render", rendered)
    monkeypatch.setattr(edit, "plan", None)  # not made again
    assert edit.run(order(), "out/a.mp4").is_file()


@real
def test_a_preview_is_as_long_as_the_edit_and_small(project):
    preview.run(order(), Path("preview.mp4"))
    about = json.loads(Path("preview.json").read_text())
    num = len(list(native_rate.pictures(Path("preview.mp4"))))
    assert num == round(about["duration_s"] * 25) and about["edits"][0]["removed"] == "three"
    assert len(decode.decode_sound(Path("preview.mp4"))) / 16000 == pytest.approx(num / 25, abs=0.07)


def test_what_is_no_video_of_someone_speaking_is_one_line(project):
    Path("face.png").write_bytes((ROOT / "benchmarks/results/app.png").read_bytes())
    for face, why in (
        ("face.png", "is a picture"),
        ("params.yaml", "no picture can be read"),
        ("none.mp4", "none.mp4"),
    ):
        with pytest.raises(UserError, match=why):
            edit.run(edit.Order(face=Path(face), transcript="a", to="b"), "out/a.mp4")


@pytest.mark.parametrize("content", ["{}", "{", '{"words": []}', '{"words": [{"word": "a"}]}', '{"words": 3}'])
def test_a_json_that_is_not_of_align_is_one_line(content):
    with pytest.raises(UserError, match="--transcript"):
        edit.transcript(content)


def test_a_text_may_be_a_file_with_or_without_a_mark(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("new.txt").write_text("Good evening.")
    assert edit.text_of("new.txt") == edit.text_of("@new.txt") == "Good evening."
    assert edit.text_of("Good evening.") == "Good evening." and edit.text_of("x" * 5000)


def test_a_recording_is_words_and_a_file():
    assert edit.recording("good evening=a=b.wav") == ("good evening", Path("a=b.wav"))
    for wrong in ("evening.wav", "=a.wav", "good evening="):
        with pytest.raises(UserError, match="WORDS=FILE"):
            edit.recording(wrong)


def test_a_plan_and_a_manifest_name_words_and_seconds():
    pieces = (
        Piece("kept", ("one", "two"), 0.0, 1.0, 0.0, 1.0),
        Piece("voice", ("five",), 1.0, 1.8, 1.0, 1.6),
        Piece("kept", ("four",), 1.8, 2.4, 1.6, 2.2),
    )
    changed = (Made(("three",), ("five",), ("voice: espeak-ng",), 1.0, 1.6, 1.0),)
    edited = Edited(pieces, np.zeros((1, 1), np.float32), 16000, changed, ("a note",))
    [one] = describe.edits(edited)
    assert one["what"] == "replaced" and (one["from_s"], one["to_s"]) == (1.0, 1.8)
    assert describe.plan(edited)[0] == (
        "replaced 'three' (1.00 .. 1.60 s of the source) by 'five' at 1.00 .. 1.80 s, said by voice: espeak-ng"
    )
    assert describe.plan(edited)[-1] == "a note"
    [action] = describe.actions([one])
    assert action["action"] == "c2pa.edited" and "'five'" in action["description"]
    assert action["changes"][0]["region"][0]["time"]["end"] == "1.800"
