"""Each script of examples/ does what its first line says, on the tiny corpus; the notebook runs as it is."""

import ast
import contextlib
import json
import os
import re
import runpy
import subprocess
import sys

import pytest
from conftest import ROOT, TINY

from tasks.core import paths
from tasks.storage import index

SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
NOTEBOOK = ROOT / "examples/demo.ipynb"
MAX_BYTES = 600_000  # a notebook is for looking at, and every clone carries it


def run(script, *arguments):
    """What it prints, started as a person would, in a project folder."""
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{script}", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_query_index_counts_what_was_kept_and_says_why_the_rest_was_not(tiny):
    rows = index.read(paths.INDEX)
    kept, refused = index.kept(rows), [row for row in rows if row["status"] == "refused"]
    printed = run("query_index")
    assert refused and f"{len(rows)} clips came in: {len(kept)} kept, {len(refused)} refused" in printed
    for split in {row["split"] for row in kept}:
        of_split = [row["duration_s"] for row in kept if row["split"] == split]
        assert re.search(rf"^{split} +{len(of_split)} +{sum(of_split) / 60:.2f}$", printed, re.M), printed
    for row in refused:
        assert f"{row['clip']}: {row['reason']}, {row['detail']}" in printed


def test_read_shard_sees_every_clip_of_a_shard_with_its_faces_and_mfccs(tiny):
    [row] = index.kept(index.read(paths.INDEX), "test")
    printed = run("read_shard")
    assert f"{row['clip']}  {row['text']!r}" in printed
    assert f"faces ({row['num_frames']}, 96, 96, 3) uint8 RGB" in printed
    assert f"mfcc (12, {4 * row['num_frames']}) float32" in printed


def test_read_shard_reads_the_shard_that_is_named(tiny):
    shard = min(paths.SHARDS.glob("train-*.tar"))
    clips = {row["clip"] for row in index.kept(index.read(paths.INDEX), "train") if row["shard"] == shard.name}
    assert clips == set(re.findall(r"^(main/\S+)", run("read_shard", str(shard)), re.M))


def test_dub_from_python_makes_a_video_and_tells_what_was_changed(trained):
    about = run("dub_from_python", "face.mp4", "face.mp4", "out/made.mp4")
    sidecar = json.loads((trained / "out/made.json").read_text())
    assert (trained / "out/made.mp4").stat().st_size > 0
    assert f"{sidecar['frames']} frames, {sidecar['duration_s']:.2f} s, {sidecar['changed']} of them changed" in about
    assert f"by checkpoint step {TINY['train.num_steps']}," in about


def test_dub_from_python_refuses_in_one_line_as_the_command_does(trained, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["dub_from_python", "face.mp4", "none.wav", "out/made.mp4"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "examples/dub_from_python.py"), run_name="__main__")
    assert ended.value.code == 2 and capsys.readouterr().err == "error: none.wav: no such file\n"


def test_add_metric_measures_what_is_known_of_a_still_and_of_the_true_mouth(trained):
    measured = {line.split()[0]: float(line.split()[1]) for line in run("add_metric").splitlines()}
    assert measured["real_video"] == 1 and measured["copy_input"] == measured["frozen_mouth"] == 0
    assert 0 < measured["mumble"] < 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_short_and_shows_how_it_is_started(script):
    text = (ROOT / f"examples/{script}.py").read_text()
    assert 20 <= len(text.splitlines()) <= 42
    assert f"    python -m examples.{script}" in ast.get_docstring(ast.parse(text), clean=False)


def cells(kind):
    return ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == kind]


def test_the_notebook_is_small_and_holds_its_outputs():
    assert NOTEBOOK.stat().st_size < MAX_BYTES
    outputs = [cell["outputs"] for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(outputs[1:]) and "image/png" in NOTEBOOK.read_text()


def test_files_that_the_notebook_names_exist():
    named = set(
        re.findall(r"(?:benchmarks|reports|examples|docs)/[\w./-]+\.\w+", "\n".join(cells("code") + cells("markdown")))
    )
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_the_cells_of_the_notebook_run(monkeypatch):
    """In order, in one namespace, as a person runs them; only the pictures are not drawn."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.chdir(ROOT)
    names: dict = {}
    for source in cells("code"):
        with contextlib.redirect_stdout(None):
            exec(compile(source, str(NOTEBOOK), "exec"), names)
