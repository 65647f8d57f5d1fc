"""`python -m flows audit`: what it says, what it exits with, and its answers on a project that was really trained."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import git
from remuxed import remuxed

from flows.cli import main
from tasks.audit import rebuild
from tasks.core import config, files, paths
from tasks.dubbing import dub
from tasks.media.wav import write_wav
from tasks.preprocess import stage as preprocess
from tasks.provenance import dvc_cache, dvc_lock
from tasks.storage import index, shards


def output(capsys, *words, expect=0):
    capsys.readouterr()
    assert main(["audit", *words]) == expect
    return capsys.readouterr().out


def flip(path, at=2000):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_a_clean_project_exits_with_0_and_a_line_for_each_link(committed, capsys):
    lines = output(capsys).splitlines()
    assert len(lines) == 17 and lines[-1] == "16 links: 15 hold, 0 broken, 1 not checked; 0 findings"
    assert all(line.startswith(("holds ", "unchecked ")) for line in lines[:-1])


def test_findings_exit_with_1_in_words_in_json_and_on_the_page(committed, capsys):
    flip(paths.GENERATOR)
    assert re.search(rf"^broken +bytes of train: {paths.GENERATOR}: md5", output(capsys, expect=1), re.MULTILINE)
    report = json.loads(output(capsys, "--json", "--html", "out/lineage.html", expect=1))
    assert not report["clean"]
    assert [link["name"] for link in report["links"] if link["state"] == "broken"] == ["bytes of train"]
    page = Path("out/lineage.html").read_text()
    assert "Some links do not hold" in page and f"{paths.GENERATOR}: md5" in page
    assert page.count("<rect") == 2 * 11 and not re.search(r"<script|src=|href=(?!\"data:,\")", page)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rebuild", "-1"], "--rebuild must be 0 or more"),
        (["--clip", "none/none/none"], "no index in the history of this repository has it"),
        (["--output", "none.mp4"], "none.mp4: no such file"),
    ],
)
def test_misuse_exits_with_2_and_one_line(committed, capsys, words, message):
    assert main(["audit", *words]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and message in error


def test_two_questions_at_once_are_misuse(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["audit", "--clip", "a", "--video", "b"])
    assert ended.value.code == 2


def test_shards_rebuilt_from_raw_equal_the_stored_ones(committed, capsys):
    assert "2 of 5 rebuilt from raw, byte for byte" in output(capsys, "--rebuild", "2", expect=0)


def test_a_shard_that_cannot_be_rebuilt_is_found_though_dvc_and_git_agree(committed):
    """Another picture in the shard, with an index, a lock and a commit that fit it."""
    row = index.kept(index.read(paths.INDEX), "val")[0]
    flip(paths.SHARDS / row["shard"], row["offset"] + 1500)
    planned, _ = preprocess.plan(config.load(paths.PARAMS))
    [unit] = [unit for unit in planned if unit.name == row["shard"]]
    assert "rebuilt it is" in rebuild.compare(unit)


def test_a_clip_is_followed_to_its_shard_its_checkpoint_and_its_bytes(committed, capsys):
    row = index.kept(index.read(paths.INDEX), "train")[0]
    out = output(capsys, "--clip", row["clip"])
    assert f"shards {row['shard']};" in out and files.md5_file(paths.GENERATOR)[:12] in out
    assert "trained on it yes" in out and f"data/raw/{row['shard']}, data/shards/{row['shard']}" in out
    video = json.loads(output(capsys, "--video", row["video"], "--json"))
    assert video["spans"][0]["answer"]["trained on it"] == "yes" and video["unknown"] == []
    for folder in (paths.RAW, paths.SHARDS):
        dvc_cache.place(dvc_cache.files_of(dvc_lock.out(dvc_lock.committed(), folder))[row["shard"]]).unlink()
    assert "bytes none in DVC's cache" in output(capsys, "--clip", row["clip"])


def test_a_checkpoint_is_followed_to_the_code_the_machine_and_the_run_that_made_it(committed, capsys):
    record = json.loads(paths.TRAIN_RECORD.read_text())
    out = output(capsys, "--checkpoint", str(paths.GENERATOR))
    for fact in (record["sessions"][0]["git_commit"][:12], record["mlflow_run"], record["machine"]["cpu"], "torch"):
        assert fact in out
    assert " DIRTY" not in out


def test_a_dubbed_video_leads_back_to_its_checkpoint_also_after_a_remux(committed, capsys):
    row = index.kept(index.read(paths.CLIPS), "test")[0]
    Path("face.mp4").write_bytes(shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"])
    write_wav(Path("speech.wav"), np.random.default_rng(0).normal(0, 0.1, 6400).astype(np.float32))
    dub.run("face.mp4", "speech.wav", "out/a.mp4")
    out = output(capsys, "--output", "out/a.mp4")
    md5 = files.md5_file(paths.GENERATOR)
    assert out.startswith("out/a.mp4: valid: ") and f"checkpoint {md5}" in out and "speech.wav" in out
    copy = remuxed(Path("out/a.mp4"), Path("out/copy.mp4"))
    out = output(capsys, "--output", str(copy), expect=1)
    assert out.startswith("out/copy.mp4: stripped: ") and f"checkpoint {md5}" in out
    assert "nothing leads from it" in output(capsys, "--output", "face.mp4", expect=1)


def test_a_video_of_a_checkpoint_that_no_commit_names_is_a_finding(committed, capsys):
    row = index.kept(index.read(paths.CLIPS), "test")[0]
    Path("face.mp4").write_bytes(shards.read(paths.RAW / row["shard"], row["offset"], row["size"])["mp4"])
    write_wav(Path("speech.wav"), np.zeros(6400, np.float32))
    about = Path("models/other.json")
    about.write_text(paths.GENERATOR.with_suffix(".json").read_text())
    content = bytearray(paths.GENERATOR.read_bytes())
    content[-1] ^= 1
    about.with_suffix(".safetensors").write_bytes(content)
    dub.run("face.mp4", "speech.wav", "out/a.mp4", "models/other.safetensors")
    assert "no commit of this repository names md5" in output(capsys, "--output", "out/a.mp4", expect=1)


def test_a_commit_without_a_record_of_the_training_says_so(committed, capsys):
    paths.TRAIN_RECORD.unlink()
    git("add", "-A")
    git("commit", "-q", "--amend", "-m", "checkpoint, its record forgotten")
    assert f"{paths.TRAIN_RECORD}: commit" in output(capsys, expect=1)
    assert "no record in the commit" in output(capsys, "--checkpoint", str(paths.GENERATOR))
