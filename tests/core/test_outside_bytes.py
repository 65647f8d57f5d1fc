"""Files that others wrote, of any bytes: a checked value, or one line that names the file."""

import errno
import json
import re
from pathlib import Path

import pytest
import torch
import unprivileged
from conftest import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unprivileged import closed  # noqa: F401 - a fixture
from wild import EXAMPLES

from flows import __main__ as command
from model.params import Params
from tasks.core import config, json_files, paths
from tasks.core.errors import UserError
from tasks.core.system_errors import ADVICE, as_user_error
from tasks.dubbing import batch
from tasks.inference import checkpoints, lip_sync
from tasks.provenance import withdrawals
from tasks.serving import choices

GOOD, NEWLINE = (ROOT / "params.yaml").read_bytes(), b"\n"
ODD = [b"&a [*a]", b"{a: ", b"!!python/x", b": :"]


def refused(run, *arguments):
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD + b"# caf\xe9\n", f"params.yaml: line {GOOD.count(NEWLINE) + 1} is not UTF-8"),
        (GOOD + b"seed: 1\n", "params.yaml: not YAML: 'seed' is there twice; keep one of them"),
        (GOOD.replace(b"  raw: local", b"  raw: local\n  raw: s3://b/c"), "'raw' is there twice"),
        (b"[" * 20_000, "params.yaml: not YAML"),
        (b"seed: 2026-13-45", "params.yaml: "),
        (b"seed: " + b"1" * 6000, "params.yaml: "),
        ("seed: 1".encode("utf-16"), "params.yaml: line 1 is not UTF-8"),
        (b"", "params.yaml: the file must be a section of parameters, got None"),
    ],
)
def test_a_params_file_of_odd_bytes_is_one_line(tmp_path, content, message):
    (tmp_path / "params.yaml").write_bytes(content)
    assert message in refused(config.load, tmp_path / "params.yaml")


def test_a_byte_order_mark_before_the_parameters_is_no_fault():
    assert isinstance(config.parse(b"\xef\xbb\xbf" + GOOD, Path("params.yaml")), Params)


@given(
    st.integers(0, len(GOOD)), st.binary(max_size=20) | st.sampled_from([b"&a [*a]", b"{a: ", b"!!python/x", b": :"])
)
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_change_of_the_parameters_is_read_or_one_line(at, change):
    try:
        config.parse(GOOD[:at] + change + GOOD[at + len(change) :], Path("params.yaml"))
    except UserError as error:
        assert str(error).startswith("params.yaml: ") and "\n" not in str(error)


def test_withdrawals_that_are_not_utf_8_are_one_line_that_names_the_line(workspace):
    paths.WITHDRAWALS.write_bytes(b"video,date,reason,source_sha256\nmonday,2026-01-01,\ncaf\xe9,2026-01-01,\n")
    assert refused(withdrawals.read) == "withdrawals.csv: line 3 is not UTF-8; save the file in UTF-8"


@given(st.binary(max_size=200))
@example(b'"' + b"a" * 140_000)
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_withdrawals_are_rows_or_one_line(tmp_path_factory, content):
    place = tmp_path_factory.getbasetemp() / "any-withdrawals.csv"
    place.write_bytes(content)
    try:
        withdrawals._parse(withdrawals._text(place), str(place))
    except UserError as error:
        assert "any-withdrawals.csv" in str(error) and "\n" not in str(error)


def checkpoint(about):
    path = Path("models/other.safetensors")
    checkpoints.save(path, {"a": torch.zeros(1)}, {})
    path.with_suffix(".json").write_bytes(about if isinstance(about, bytes) else json.dumps(about).encode())
    return path


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ([], "a JSON object is expected, got '[]'"),
        (b"\xff", "damaged, no JSON"),
        (b"[" * 50_000, "damaged"),
        ({}, "params.model.width is 'None', float or int is expected"),
        ({"params": []}, "params.model.width is 'None'"),
        ({"params": {"model": {"width": "1"}}}, "params.model.width is '1'"),
        ({"params": {"model": {"width": 1.0}, "faces": {"size": 9.5}}}, "params.faces.size is '9.5'"),
        ({"params": {"model": {"width": 1e9}, "faces": {"size": 96}}}, "are of no network"),
    ],
)
def test_a_checkpoint_description_of_another_shape_is_one_line(workspace, about, message):
    path = checkpoint(about)
    assert message in (line := refused(lip_sync.LipSync, path)) and "other" in line


KEYS = st.sampled_from(["params", "model", "width", "faces", "size", "loop", "step", "lineage", "corpora", "network"])
LEAVES = st.none() | st.integers() | st.text(max_size=5) | st.floats()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_description_of_a_checkpoint_is_shown_or_left_out(tmp_path_factory, about):
    place = tmp_path_factory.getbasetemp() / "any.json"
    about = {"network": "generator"} | about if isinstance(about, dict) else about
    place.write_text(json.dumps(about))
    assert isinstance(choices.described(place), str)
    try:
        lip_sync.face_params(json_files.read(place), place)
    except UserError as error:
        assert "any.json" in str(error)


def test_what_the_system_refuses_is_one_line_and_other_errors_stay():
    for number in ADVICE:
        error = OSError(number, "refused", "data/raw/x")
        assert str(as_user_error(error)).startswith("data/raw/x: refused; ")
    assert as_user_error(FileNotFoundError(errno.ENOENT, "missing", "x")) is None
    assert as_user_error(ConnectionRefusedError(errno.ECONNREFUSED, "refused")) is None


def test_read_only_data_is_one_line(closed):  # noqa: F811
    done = unprivileged.command("agree", "--who", "A", "--organisation", "B", "--signed", "params.yaml")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.search(r"error: .*data.*: Permission denied; give this user the right to read", done.stderr)


def test_a_folder_in_place_of_the_parameters_is_one_line(workspace, capsys):
    Path("params.yaml").unlink()
    Path("params.yaml").mkdir()
    assert command.main(["train"]) == 2
    assert "error: params.yaml: Is a directory; a folder lies where a file is wanted" in capsys.readouterr().err


def test_a_full_disk_under_a_command_is_one_line(workspace, monkeypatch, capsys):
    def full(*rest):
        raise OSError(errno.ENOSPC, "No space left on device", ".cache/units/acquire/ab")

    Path("signed.pdf").write_bytes(b"%PDF")
    monkeypatch.setattr("tasks.core.files.tempfile.mkdtemp", lambda **rest: full())
    assert command.main(["agree", "--who", "A", "--organisation", "B", "--signed", "signed.pdf"]) == 2
    assert "error: .cache/units/acquire/ab: No space left on device; free some space" in capsys.readouterr().err


def test_a_job_list_whose_tts_column_would_run_a_command_must_be_allowed(workspace, capsys):
    Path("jobs.csv").write_text('face,out,text,tts\na.mp4,out/a.mp4,Hello,"touch ran-it {text} {out}"\n')
    assert command.main(["batch", "jobs.csv"]) == 2
    assert (
        "its column tts would run 'touch ran-it {text} {out}'; if that is what you want, add --allow-tts-commands"
        in (capsys.readouterr().err)
    )
    assert not Path("ran-it").exists()
    batch.demand_no_commands(Path("x"), [batch.BatchJob(1, {"face": "a", "out": "b"})])
