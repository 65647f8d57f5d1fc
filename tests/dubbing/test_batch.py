"""A list of dubbing jobs, by the real flow."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from test_dub import speech

from flows import batch
from tasks.core.errors import UserError
from tasks.dubbing import batch as jobs
from tasks.dubbing.batch import BatchJob
from tasks.dubbing.options import Options
from tasks.media import native_rate


def test_a_bad_job_stops_no_other_and_a_second_run_makes_only_missing_outputs(trained, monkeypatch, capfd):
    """The list, a face and an output have names that are not UTF-8; a sound has a space in its name."""
    monkeypatch.setenv("LIPGAN_RUNNER", "threads")
    monkeypatch.setenv("LIPGAN_WORKERS", "2")
    speech(640 * 5)
    shutil.copy("speech.wav", "my speech.wav")
    shutil.copy("face.mp4", os.fsdecode(b"caf\xe9.mp4"))
    jobs_csv, last = Path(os.fsdecode(b"jobs \xe9.csv")), Path(os.fsdecode(b"out/c\xff.mp4"))
    jobs_csv.write_bytes(
        b"face;audio;out;length\r\nface.mp4;speech.wav;out/a.mp4;sound\r\nnone.mp4;speech.wav;out/b.mp4;\r\n"
        b"caf\xe9.mp4;0.2=my speech.wav;out/c\xff.mp4;\r\n"
    )
    assert batch.run(jobs_csv) == 1
    states = json.loads(jobs_csv.with_suffix(".jobs.json").read_text())
    assert [row["state"] for row in states] == ["done", "refused", "done"]
    assert states[1]["why"] == "none.mp4: no such file"
    assert states[2]["out"] == "out/c\\xff.mp4"
    assert len(list(native_rate.pictures(Path("out/a.mp4")))) == 5
    assert not Path("out/b.mp4").exists()
    last.unlink()
    capfd.readouterr()
    assert batch.run(jobs_csv) == 1
    messages = capfd.readouterr().err
    assert "out/a.mp4: up to date, made from the same inputs; kept" in messages
    assert last.is_file()


def test_a_model_of_the_registry_is_fetched_once_and_a_missing_one_stops_the_list(monkeypatch):
    asked = []

    def path_of(checkpoint):
        asked.append(checkpoint)
        if checkpoint.endswith("/9"):
            raise UserError("--checkpoint: models:/lipgan/9: no such version")
        return "served/generator.safetensors"

    monkeypatch.setattr(batch.registry, "path_of", path_of)
    row = {"face": "a.mp4", "out": "b.mp4"}
    named = [BatchJob(number, row | {"checkpoint": "models:/lipgan@champion"}) for number in (1, 2)]
    resolved = batch.with_files([*named, BatchJob(3, row)])
    assert [job.cells.get("checkpoint") for job in resolved] == ["served/generator.safetensors"] * 2 + [None]
    assert asked == ["models:/lipgan@champion"]
    with pytest.raises(UserError, match="no such version"):
        batch.with_files([BatchJob(1, row | {"checkpoint": "models:/lipgan/9"})])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "contains no job"),
        ("face,audio,out\n,a.wav,b.mp4\n", "job 1 has no face"),
        ("face,sound,out\na,b,c\n", "'sound' is not a column; known: face, audio, out"),
        ("face,audio,out\na,b,c.mp4\na,d,c.mp4\n", "two jobs write c.mp4"),
        ("face,audio,out,lossless\na,b,c.mp4,no\na,d,c.mkv,yes\n", "two jobs write c.json"),
        ("face,audio,out,side_by_side\na,b,c.mp4,d.mp4\na,d,e.mp4,./d.mp4\n", "two jobs write d.mp4"),
        ("face,audio,out\na,b,loop/c.mp4\na,d,./loop/c.mp4\n", "two jobs write c.mp4"),
    ],
)
def test_a_bad_list_is_refused_before_any_work(workspace, text, message):
    Path("jobs.csv").write_text(text)
    Path("loop").symlink_to("loop")
    with pytest.raises(UserError, match=message):
        jobs.read(Path("jobs.csv"))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"crf": "low"}, "--crf must be a whole number, got 'low'"),
        ({"lossless": "perhaps"}, "--lossless must be yes or no, got 'perhaps'"),
        ({"box": "1,2,3"}, "--box 1,2,3: wanted left,top,right,bottom in pixels"),
        ({"crf": "9" * 5000}, "--crf must be a whole number"),
        ({"box": f"0,0,{'9' * 400},{'9' * 400}"}, "wanted left,top,right,bottom in pixels"),
        ({"sped": "2"}, "'sped' is no option of dub; known: length, speaker"),
    ],
)
def test_an_option_that_cannot_be_read_is_named(cells, message):
    with pytest.raises(UserError, match=message):
        Options.from_mapping(cells)


def test_what_the_system_refuses_to_one_job_is_its_reason(workspace, monkeypatch):
    def full(*arguments):
        raise OSError(errno.EIO, "Input/output error", "a.mp4")

    monkeypatch.setattr(jobs.dub, "run", full)
    job = jobs.BatchJob(1, {"face": "a.mp4", "audio": "b.wav", "out": "c.mp4"})
    assert jobs.run(job) == "a.mp4: Input/output error; the disk has errors; check it"


def test_words_and_values_give_the_same_options():
    words = {"crf": "20", "idle": "yes", "box": "0,0,50,60", "ear": "raw", "speaker": None}
    values = {"crf": 20, "idle": True, "box": (0.0, 0.0, 50.0, 60.0), "driving_audio": "raw"}
    assert Options.from_mapping(words) == Options.from_mapping(values) == Options(**values)
