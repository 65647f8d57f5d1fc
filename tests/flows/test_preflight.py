"""What can be known before the work is said before the work: one line, exit status 2, nothing left behind."""

import http.server
import os
import socket
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import unprivileged
from unprivileged import closed  # noqa: F401 - a fixture

from flows import __main__ as command
from flows import pools, preflight
from tasks.audit import openlineage
from tasks.core import preflight as checks
from tasks.core import servers
from tasks.core.errors import UserError
from tasks.provenance import c2pa_mark, signing
from tasks.tracking import runs

WITHIN_S = 10


def one_line(done):
    """The line of a command that was refused."""
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize(
    "words",
    [
        ("acquire",), ("preprocess",), ("expert",), ("motion",), ("inside",), ("train",), ("evaluate",),
        ("demo",), ("retrain",),
        ("dub", "--face", "a.mp4", "--audio", "b.wav", "--out", "out/a.mp4"), ("batch", "jobs.csv"),
        ("live", "--face", "a.png", "--audio", "b.wav", "--out", "out/a.mp4"), ("experiments",),
    ],
)  # fmt: skip
def test_a_long_command_in_a_folder_that_cannot_be_written_is_refused_first(closed, words):  # noqa: F811
    before = sorted(Path().rglob("*"))
    line = one_line(unprivileged.command(*words, LIPGAN_CACHE=None))
    assert "cannot be written" in line and "give this user the right to write there" in line
    assert sorted(Path().rglob("*")) == before


def test_a_home_that_cannot_be_written_is_refused_before_a_dub_and_before_a_stage(closed):  # noqa: F811
    closed.chmod(0o777)
    Path("out").mkdir()
    home = "/proc/nowhere"
    words = ("dub", "--face", "a.mp4", "--audio", "b.wav", "--out", "out/a.mp4")
    line = one_line(unprivileged.command(*words, HOME=home, XDG_CONFIG_HOME=None, LIPGAN_CONFIG=None))
    assert "set LIPGAN_CONFIG" in line and not list(Path("out").iterdir())
    line = one_line(unprivileged.command("acquire", HOME=home, PREFECT_HOME=None, LIPGAN_CACHE=None))
    assert "set HOME or PREFECT_HOME" in line


class Other(http.server.BaseHTTPRequestHandler):
    """A server of another kind: a page for /ui/health, 404 for what else is asked for."""

    def do_GET(self):
        self.send_response(200 if self.path.startswith("/ui/") else 404)
        self.end_headers()
        self.wfile.write(b"\n<!DOCTYPE html><title>Someone's page</title>" if self.path.startswith("/ui/") else b"")

    def log_message(self, *rest):
        pass


@pytest.mark.parametrize(("path", "status"), [("api", 404), ("ui", 200)])
def test_a_server_of_another_kind_is_one_line(workspace, monkeypatch, capsys, path, status):
    with http.server.HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.handle_request, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{other.server_address[1]}/{path}")
        assert command.main(["acquire"]) == 2
    assert f"(a server of another kind answers: HTTP {status})" in capsys.readouterr().err


def test_a_home_that_does_not_exist_yet_is_made_for_prefect(workspace, monkeypatch):
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    monkeypatch.setenv("HOME", str(workspace / "no/home/yet"))
    checks.demand_in_home("PREFECT_HOME", ".prefect")
    assert Path("no/home/yet/.prefect").is_dir()


def test_a_user_without_a_home_is_told_which_variable_names_one(monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")

    for name in ("PREFECT_HOME", "LIPGAN_CONFIG", "XDG_CONFIG_HOME", "LIPGAN_C2PA_CERT", "LIPGAN_C2PA_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(UserError, match="set HOME or PREFECT_HOME to a folder"):
        checks.demand_in_home("PREFECT_HOME", ".prefect")
    with pytest.raises(UserError, match="set LIPGAN_CONFIG to a folder"):
        preflight.signature()


def test_a_disk_too_small_for_the_estimate_is_refused_before_the_work(workspace, monkeypatch, capsys):
    usage = checks.shutil.disk_usage(workspace)._replace(free=300 << 20)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: usage)
    assert command.main(["train"]) == 2
    assert "stage train needs about 1.1 GB, 0.3 GB are free; free some space" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("app",), ("live", "--face", "a.png", "--serve"), ("train",)])
def test_a_machine_without_a_temporary_folder_is_told_which_variable_names_one(workspace, monkeypatch, capsys, words):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(checks.tempfile, "gettempdir", none)
    assert command.main(words) == 2
    assert "no temporary folder can be written; set TMPDIR to one that can" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max-mb", "-5"), ("--max-seconds", "nan"), ("--max-work", "0"), ("--keep", "inf"), ("--backend", "abacus")],
)
def test_a_limit_of_the_page_under_which_nothing_works_is_refused_before_it_is_served(workspace, capsys, option, value):
    assert command.main(["app", option, value]) == 2
    assert f"error: {option} must be " in capsys.readouterr().err


def test_a_wrong_certificate_or_key_is_refused_before_the_work(workspace, monkeypatch):
    monkeypatch.setenv("LIPGAN_CONFIG", "config")
    c2pa_mark.demand_signer()  # makes a pair of its own
    own = Path("config/c2pa")
    signing._make_pair(Path("other"))
    Path("no.pem").write_bytes(b"no PEM")
    for cert, key, why in (
        (own / "chain.pem", Path("other/key.pem"), "not the key of"),
        (Path("no.pem"), own / "key.pem", "not a PEM certificate"),
        (Path("missing.pem"), own / "key.pem", "no such file"),
    ):
        monkeypatch.setenv("LIPGAN_C2PA_CERT", str(cert))
        monkeypatch.setenv("LIPGAN_C2PA_KEY", str(key))
        with pytest.raises(UserError, match=why):
            preflight.signature()


def test_a_pipe_in_the_folder_of_videos_is_refused_before_dvc_hashes_it(workspace):
    Path("videos").mkdir()
    os.mkfifo("videos/a.mp4")
    with pytest.raises(UserError, match=r"videos/a\.mp4: a pipe; DVC would wait for it for ever"):
        preflight.pipeline(Path("videos"))


@pytest.fixture(params=["off", "silent"])
def dead(request):
    """host:port at which nothing listens, or something that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        if request.param == "silent":
            yield address
            return
    yield address


@pytest.mark.parametrize(
    ("variable", "scheme", "words"),
    [
        ("PREFECT_API_URL", "http://{}/api", "acquire"),
        ("MLFLOW_TRACKING_URI", "http://{}", "train"),
        ("LIPGAN_UNITS", "http://{}", "acquire"),
    ],
)
def test_a_server_that_does_not_answer_is_one_line_within_ten_seconds(
    workspace, monkeypatch, capsys, dead, variable, scheme, words
):
    if variable == "LIPGAN_UNITS":
        pytest.importorskip("s3fs", reason="s3fs is not installed (extra s3)")
        monkeypatch.setenv("LIPGAN_UNITS", "s3://bucket/units")
        variable = "AWS_ENDPOINT_URL"
    monkeypatch.setenv(variable, scheme.format(dead))
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    began_s = time.monotonic()
    assert command.main([words]) == 2
    assert time.monotonic() - began_s < WITHIN_S
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1 and f"error: {variable}: {scheme.format(dead)} does not answer" in lines[0]


def test_an_openlineage_server_that_does_not_answer_is_one_line(monkeypatch, dead):
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://{dead}")
    began_s = time.monotonic()
    with pytest.raises(UserError, match=f"OPENLINEAGE_URL: http://{dead} does not answer"):
        openlineage.demand_server()
    assert time.monotonic() - began_s < WITHIN_S


def test_a_cluster_that_does_not_answer_is_one_line(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    monkeypatch.setenv("LIPGAN_RUNNER", "dask")
    monkeypatch.setenv("LIPGAN_DASK", address)
    with pytest.raises(UserError, match=f"LIPGAN_DASK: {address} does not answer"):
        pools.demand_cluster()


@pytest.mark.parametrize("address", ["http://[::1", "http://h:99999", "http://", "ftp://h", ""])
def test_what_is_no_address_of_a_server_is_one_line(address):
    with pytest.raises(UserError, match=r"PREFECT_API_URL: .* is no address of a server"):
        servers.parsed("PREFECT_API_URL", address)


def test_a_password_in_an_address_is_not_shown():
    with pytest.raises(UserError) as caught:
        servers.demand("MLFLOW_TRACKING_URI", "http://me:s3cr3t@127.0.0.1:9", "/health")
    assert "s3cr3t" not in str(caught.value)


def test_with_a_proxy_this_machine_is_asked_directly(monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "intern.example")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    servers.keep_loopback_direct()
    assert os.environ["NO_PROXY"] == "intern.example,localhost,127.0.0.1,::1" and "127.0.0.1" in os.environ["no_proxy"]


def test_an_mlflow_db_of_another_version_is_one_line_with_the_command_that_upgrades_it(workspace, monkeypatch):
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/new.db")
    runs.connect()
    Path("old.db").write_bytes(Path("new.db").read_bytes())
    with sqlite3.connect("old.db") as old:
        old.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")  # MLflow 1.0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/old.db")
    with pytest.raises(UserError, match=rf"`python -m mlflow db upgrade sqlite:///{workspace}/old\.db`") as caught:
        preflight.mlflow()
    assert "\n" not in str(caught.value)
    Path("foreign.db").write_bytes(b"no database" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace}/foreign.db")
    with pytest.raises(UserError, match="cannot be used"):
        preflight.mlflow()
