"""Where a dub cannot be written, or is stopped: one line, nothing half left, and it goes on once that is mended."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from tasks.core.errors import Stopped, UserError
from tasks.dubbing import dub, output, work_folder
from tasks.dubbing.options import Options
from tasks.features import mesh_model
from tasks.media import decode, encode
from tasks.media.wav import write_wav
from tasks.provenance import c2pa_mark


def speech(samples=6400):
    write_wav(Path("speech.wav"), np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32))
    return "speech.wav"


def refused(error, out="out/a.mp4", **arguments):
    """Asserts that the dub ends in this kind of error; returns its one line."""
    arguments = {"audio": "speech.wav", **arguments}
    if not Path(arguments["audio"]).exists():
        speech()
    with pytest.raises(error) as caught:
        dub.run(**({"face": "face.mp4", "out": out} | arguments))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def room():
    """Sets how large a file may become: what is written beyond fails, for root too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda num_bytes: resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


LIMITS = {"what pass 1 found": 2000, "a segment": 60_000, "the joined video": None, "its signed copy": None}


@pytest.mark.parametrize("where", LIMITS)
def test_a_full_disk_stops_the_run_which_resumes_when_there_is_space(trained, room, where, monkeypatch):
    monkeypatch.setattr("tasks.dubbing.render.SEGMENT_FRAMES", 8)
    limit, join, sign, audio = LIMITS[where], output.Output.join, c2pa_mark.mark, speech(640 * 40)
    if limit:
        room(limit)
    elif where == "the joined video":
        monkeypatch.setattr(output.Output, "join", lambda *arguments: (room(20_000), join(*arguments)))
    else:
        monkeypatch.setattr(c2pa_mark, "mark", lambda path, *rest: (room(path.stat().st_size + 500), sign(path, *rest)))
    line = refused(Stopped, audio=audio)
    assert line.startswith("out/a.mp4: stopped: ") and "run the same again" in line
    assert os.listdir("out") == [".a.mp4.work"]
    assert not [path for path in Path("out").rglob("*") if path.name.startswith(".a.mp4.") and path.name[7:] != "work"]
    room(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    monkeypatch.setattr(output.Output, "join", join)
    monkeypatch.setattr(c2pa_mark, "mark", sign)
    out = dub.run("face.mp4", "speech.wav", "out/a.mp4")
    assert sorted(os.listdir("out")) == ["a.json", "a.mp4"]
    assert c2pa_mark.read(out).state in ("valid", "untrusted")


def test_a_folder_that_cannot_be_written_is_one_line(trained):
    assert "cannot be written: " in refused(UserError, "/proc/a.mp4")
    assert "cannot be written: " in refused(UserError, "/proc/none/a.mp4")
    Path("file").write_text("not a folder")
    assert "file/a.mp4: cannot be written: " in refused(UserError, "file/a.mp4")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_missing_permissions_are_one_line(trained, monkeypatch):
    """As another user, who may not write to the folder or read the audio."""
    if mesh_model.path().is_file():  # the other user may not read it where it is
        shutil.copy(mesh_model.path(), mesh_model.NAME)
    monkeypatch.setenv("LIPGAN_MODELS", str(Path.cwd()))
    secret = Path(speech())
    secret.chmod(0o600)
    for folder in (Path.cwd(), *Path.cwd().parents):
        if folder.stat().st_uid == 0 and folder != Path("/") and folder.is_relative_to(tempfile.gettempdir()):
            folder.chmod(folder.stat().st_mode | 0o755)
    os.seteuid(65534)
    try:
        assert "speech.wav: cannot be read: Permission denied" in refused_here(audio="speech.wav")
        assert "a.mp4: cannot be written: Permission denied" in refused_here(audio="face.mp4")
    finally:
        os.seteuid(0)


def refused_here(**arguments):
    with pytest.raises(UserError) as caught:
        dub.run(**({"face": "face.mp4", "out": "a.mp4"} | arguments))
    return str(caught.value)


def test_missing_folders_of_the_output_are_created(trained):
    dub.run("face.mp4", speech(), "new/and/deep/a.mp4")
    assert sorted(os.listdir("new/and/deep")) == ["a.json", "a.mp4"]


def test_an_input_or_a_foreign_file_is_never_overwritten(trained):
    whole = Path("face.mp4").read_bytes()
    assert "would overwrite the input face.mp4" in refused(UserError, "./face.mp4")
    encode.encode_video(Path("talk.mp4"), decode.frames("face.mp4"), decode.decode_sound("face.mp4"))
    assert "would overwrite the input talk.mp4" in refused(UserError, "talk.mp4", audio="talk.mp4")
    both = Options(side_by_side="out/a.mp4")
    assert "--side-by-side: out/a.mp4 is the output itself" in refused(UserError, options=both)
    assert "would overwrite the input face.mp4" in refused(UserError, options=Options(side_by_side="face.mp4"))
    own = Options(generator="mesh", library=("own.mp4",))
    assert "would overwrite the input own.mp4" in refused(UserError, "own.mp4", options=own)
    Path("a.json").mkdir()
    Path("a.json/kept").write_text("someone's")
    assert "the JSON beside it, a.json, exists and is not of a dub" in refused(UserError, "a.mp4")
    Path("b.json").write_text("[" * 100_000)  # deeper than is read
    assert "the JSON beside it, b.json, exists and is not of a dub" in refused(UserError, "b.mp4")
    Path("b.json").write_text('{"list": "someone\'s"}')
    assert "the JSON beside it, b.json, exists and is not of a dub" in refused(UserError, "b.mp4")
    assert Path("face.mp4").read_bytes() == whole
    assert Path("a.json/kept").read_text() == "someone's"
    assert Path("b.json").read_text() == '{"list": "someone\'s"}'


@pytest.mark.parametrize("other", ["out/a.mp4", "out/a.mkv"])  # the JSON of both is out/a.json
def test_a_second_dub_into_the_same_output_is_one_line_and_takes_nothing_from_the_first(trained, other):
    with work_folder.folder(Path("out/a.mp4"), "of the first") as first:
        (first / "part").write_text("made")
        line = refused(UserError, out=other, options=Options(lossless=other.endswith("mkv")))
        assert line.startswith(f"{other}: another dub writes it; wait until it is done, or name another file (process ")
        assert (first / "part").read_text() == "made"
    assert not list(Path("out").iterdir())


def test_a_file_that_cannot_be_read_is_one_line(trained):
    assert refused(UserError, face="/proc/self/mem").startswith("/proc/self/mem: cannot be read: ")
    assert refused(UserError, face="models") == "models: a folder, not a file"


def test_ctrl_c_is_one_line_and_the_same_command_resumes(trained):
    command = [sys.executable, "-m", "flows", "dub", "--face", "face.mp4", "--audio", speech(640 * 520),
               "--out", "out/a.mp4"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a process that a shell starts with `&` ignores it
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=default) as process:
        output = ""
        while not list(Path("out/.a.mp4.work").glob("0*.json")) and process.poll() is None:
            output += process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output += process.stderr.read()
    assert process.returncode == 75
    last = output.strip().splitlines()[-1]
    assert last == "error: dub: out/a.mp4: stopped by Ctrl-C; the same command resumes it"
    assert "Traceback" not in output
    assert os.listdir("out") == [".a.mp4.work"]
    assert list(Path("out/.a.mp4.work").glob("0*.mp4"))
    dub.run("face.mp4", "speech.wav", "out/a.mp4")
    assert sorted(os.listdir("out")) == ["a.json", "a.mp4"]
