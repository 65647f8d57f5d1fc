import itertools
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import lrs2_archive as fake
import pytest
from conftest import ROOT, inside, run_acquire
from lrs2_archive import small, workspace_of
from lrs2_server import FAULTS, PASSWORD, USER, serving

from tasks.acquire import download, http_answers, lrs2_fetch, lrs2_trust
from tasks.acquire import stage as acquire
from tasks.core import paths
from tasks.core.errors import UserError

QUICK = {
    "corpus.lrs2.source": "https",
    "corpus.num_shards": {"train": 2, "val": 1, "test": 1, "hard": 1, "pretrain": 1},
    "acquire.stall_s": 0.08,
    "acquire.backoff_s": 0.0,
    "acquire.parallel": 1,
}
NUM_SCHEDULES = 200


@pytest.fixture
def log_in(monkeypatch):
    monkeypatch.setenv("LIPGAN_LRS2_USER", USER)
    monkeypatch.setenv("LIPGAN_LRS2_PASSWORD", PASSWORD)


def fetching(workspace, server, archive, **changes):
    fake.write_sums(workspace / "lrs2", archive)
    return workspace_of(workspace, None, **{**QUICK, "corpus.lrs2.host": server.host, **changes})


def fetch_all(p):
    for names in acquire.rounds(p):
        for name in names:
            acquire.download(p, name)


def acquired(folder):
    return fake.shards_in(folder) | {"clips": (folder / paths.CLIPS).read_bytes()}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The shards and clip table of a run over complete local parts."""
    folder = tmp_path_factory.mktemp("reference")
    with inside(folder):
        run_acquire(workspace_of(folder, small(), **{"corpus.num_shards": QUICK["corpus.num_shards"]}))
    return acquired(folder)


def test_a_downloaded_corpus_equals_that_of_local_parts(workspace, log_in, reference):
    archive = small()
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        fetch_all(p)
        run_acquire(p)
        assert acquired(workspace) == reference
        num_requests = len(server.log)
        fetch_all(p)
        assert len(server.log) == num_requests  # nothing is downloaded twice


def test_random_server_faults_do_not_change_the_shards(workspace, log_in, reference):
    """Each schedule draws up to a dozen faults at random requests, and whether parts are deleted."""
    archive, seen = small(), set()
    with serving(archive.served()) as server:
        for seed in range(NUM_SCHEDULES):
            drawn = random.Random(seed)
            shutil.rmtree(workspace / "lrs2", ignore_errors=True)
            shutil.rmtree(workspace / ".cache", ignore_errors=True)
            p = fetching(workspace, server, archive, **{"acquire.delete_parts": drawn.random() < 0.5})
            faults = [(drawn.choice(FAULTS), drawn.random()) for _ in range(drawn.randrange(1, 12))]
            good = [("", 0.0)] * drawn.randrange(30)
            server.faults.extend(drawn.sample(faults + good, len(faults) + len(good)))
            for _ in range(40):
                try:
                    fetch_all(p)
                    break
                except UserError as error:  # a refused login, a bad part: the user runs it again
                    assert "\n" not in str(error)
            run_acquire(p)
            assert acquired(workspace) == reference, f"schedule {seed}: {faults}"
            seen |= {fault for *_, fault in server.log}
            server.faults.clear()
    assert seen == {"", *FAULTS}


def rules(**changes):
    return download.Rules(**({"stall_s": 0.2, "max_failures": 3, "backoff_s": 0.0} | changes))


def auth():
    return lrs2_fetch.credentials.of("http://127.0.0.1")


def test_an_interrupted_download_resumes(tmp_path, log_in):
    content = random.Random(0).randbytes(200_000)
    with serving({"x": content}) as server:
        server.faults.extend([("reset", 0.5), ("stall", 0.7), ("503", 0.0), ("short_body", 0.5)])
        partial = download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules())
        assert partial.read_bytes() == content
        starts = [ranged for method, _, ranged, _ in server.log if method == "GET"]
        assert starts[0] is None and all(start.startswith("bytes=") for start in starts[1:])
        assert server.bytes_sent <= len(content)


def test_a_changed_file_is_downloaded_from_the_start_and_never_spliced(tmp_path, log_in):
    old, new = (random.Random(seed).randbytes(100_000) for seed in (1, 2))
    with serving({"x": old}) as server:
        server.faults.append(("short_body", 0.6))
        server.faults.extend([("503", 0.0)] * 3)
        with pytest.raises(UserError, match="3 failures in a row"):
            download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules())
        assert (tmp_path / "x.partial").stat().st_size == 60_000
        server.files["x"] = new
        assert download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules()).read_bytes() == new


def test_without_range_support_a_download_restarts(tmp_path, log_in):
    content = random.Random(0).randbytes(50_000)
    with serving({"x": content}) as server:
        server.faults.extend([("short_body", 0.5), ("no_range", 0.0)])
        assert download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules()).read_bytes() == content


def test_retry_after_takes_precedence_over_the_backoff(tmp_path, log_in, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    with serving({"x": b"1"}) as server:
        server.faults.extend([("429", 0.0), ("short_body", 0.0), ("short_body", 0.0)])
        download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules(max_failures=9, backoff_s=4.0))
    assert waits == [0.0, 8.0, 16.0]
    assert http_answers.retry_after("7") == 7 and http_answers.retry_after("soon") is None
    assert http_answers.retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert http_answers.retry_after("99999999") == http_answers.LONGEST_RETRY_AFTER_S


@pytest.mark.parametrize("status", ["401", "403"])
def test_a_refused_login_is_one_line_at_once_and_keeps_the_bytes_so_far(tmp_path, log_in, status):
    content = random.Random(0).randbytes(50_000)
    with serving({"x": content}) as server:
        server.faults.extend([("short_body", 0.5), (status, 0.0)])
        with pytest.raises(UserError, match=rf"/x: {status}: user and password are not accepted"):
            download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules())
        assert len(server.log) == 2 and (tmp_path / "x.partial").stat().st_size == 25_000
        assert download.fetch(f"{server.host}/x", tmp_path / "x", auth(), rules()).read_bytes() == content


def test_a_part_with_a_wrong_md5_is_named_and_kept_under_another_name(workspace, log_in):
    archive = small()
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        with Path("lrs2/MD5SUMS").open("a") as sums:
            sums.write(f"{'0' * 32} *lrs2_v1_partac\n")
        with pytest.raises(UserError, match=rf"partac: md5 is \w{{32}}, expected {'0' * 32}; kept as"):
            fetch_all(p)
        [bad] = Path("lrs2").glob("lrs2_v1_partac.bad-*")
        assert bad.read_bytes() == server.files["lrs2_v1_partac"]
        assert not Path("lrs2/lrs2_v1_partac").exists() and Path("lrs2/lrs2_v1_partab").is_file()


def test_an_unknown_md5_is_recorded_and_checked_from_then_on(workspace, log_in, caplog):
    archive = small()
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        fetch_all(p)
        assert "trusted at its first download" in caplog.text
        assert "lrs2_v1_partaa" in lrs2_trust.known_md5(Path("lrs2"))
        Path("lrs2/lrs2_v1_partaa").unlink()
        server.files["lrs2_v1_partaa"] = server.files["lrs2_v1_partaa"][:-1] + b"?"
        with pytest.raises(UserError, match="partaa: md5 is"):
            fetch_all(p)


def test_too_little_disk_space_is_an_error_before_any_download(workspace, log_in, monkeypatch):
    archive = small()
    usage = shutil.disk_usage(workspace)._replace(free=10_000)
    monkeypatch.setattr(lrs2_fetch.shutil, "disk_usage", lambda folder: usage)
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        with pytest.raises(UserError, match=r"GB are needed for 5 parts of .*acquire\.delete_parts"):
            fetch_all(p)
        assert not [name for method, name, *_ in server.log if method == "GET" and "part" in name]


def test_an_unknown_host_and_one_without_https_are_one_line(tmp_path, log_in):
    with pytest.raises(UserError, match="passwords are sent only over https://"):
        download.fetch("http://example.org/x", tmp_path / "x", auth(), rules())
    with pytest.raises(UserError, match=r"no-such-host\.invalid: no such host|failures in a row"):
        download.fetch("https://no-such-host.invalid/x", tmp_path / "x", auth(), rules())


def test_user_and_password_come_from_the_environment_or_netrc(tmp_path, monkeypatch):
    of = lrs2_fetch.credentials.of
    for name in ("LIPGAN_LRS2_USER", "LIPGAN_LRS2_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(UserError, match=r"no user and password for 127\.0\.0\.1: set LIPGAN_LRS2_USER"):
        of("http://127.0.0.1:80/")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password s3cr3t\n")
    assert of("http://127.0.0.1:80/")._auth_header.startswith("Basic ")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a\nhunter s3cr3t oh\n")
    with pytest.raises(UserError) as caught:
        of("http://127.0.0.1/")
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value)) and "netrc:2" in str(caught.value)
    monkeypatch.setenv("LIPGAN_LRS2_USER", "a")
    with pytest.raises(UserError, match="LIPGAN_LRS2_PASSWORD is not set"):
        of("http://127.0.0.1/")


@pytest.mark.parametrize("delete", [False, True])
def test_the_stage_resumes_after_kill_9_at_any_moment(workspace, log_in, reference, delete):
    """The stage in a process of its own, killed repeatedly, a little later each time."""
    archive = small()
    code = (
        "from tasks.acquire import stage as acquire\nfrom tasks.core import config\n"
        "from tasks.storage import unit_cache as units\n"
        "p = config.load()\n"
        "for names in acquire.rounds(p):\n"
        "    for name in names: acquire.download(p, name)\n"
        "planned, refused = acquire.plan(p)\n"
        "for unit in planned:\n"
        "    units.make(acquire.build, unit); acquire.release(unit)\n"
        "acquire.collect(planned, refused, p)\n"
    )
    with serving(archive.served()) as server:
        fetching(workspace, server, archive, **{"acquire.delete_parts": delete})
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        for killed_at in itertools.count():
            # slow bodies, so that the kill interrupts a download
            server.faults.extend([("short_body", 0.5), ("stall", 0.6)] * 3)
            running = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)
            wanted, deadline = (killed_at + 1) * 4, time.monotonic() + 60
            start = len(server.log)
            while running.poll() is None and len(server.log) - start < wanted and time.monotonic() < deadline:
                server.stopped.wait(0.002)
            if running.poll() is not None:
                break
            running.send_signal(signal.SIGKILL)
            running.wait()
            server.faults.clear()
            assert not (workspace / "data/raw").exists() or acquired(workspace) == reference
            if killed_at == 2:  # finally let it finish
                subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
                break
    assert acquired(workspace) == reference


def test_neither_user_nor_password_is_written_anywhere(workspace, log_in, caplog, capfd):
    """Checks debug logs, errors with tracebacks, and every file that acquire writes."""
    caplog.set_level(logging.DEBUG)
    archive, errors = small(), []
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        for faults in (
            [("401", 0.0)],
            [("403", 0.0)],
            [("reset", 0.3)] * 30,
            [("", 0.0), ("", 0.0), ("503", 0.0), ("stall", 0.5)],
        ):
            server.faults.extend(faults)
            try:
                fetch_all(p)
            except UserError as error:
                errors.append("".join(traceback.format_exception(error)))
            server.faults.clear()
        run_acquire(p)
    assert len(errors) >= 3 and "401" in errors[0] and "403" in errors[1]
    out = capfd.readouterr()
    texts = {"log": caplog.text, "errors": "".join(errors), "out": out.out + out.err}
    texts |= {str(f): f.read_bytes().decode("latin-1") for f in workspace.rglob("*") if f.is_file()}
    header = lrs2_fetch.credentials.of("http://x")._auth_header.split()[1]
    assert "httpcore" in texts["log"] or "httpx" in texts["log"]
    for secret in (USER, PASSWORD, header):
        assert not [where for where, text in texts.items() if secret in text], secret


def test_a_run_is_tagged_with_licence_and_agreement_and_no_secret(workspace, log_in, monkeypatch):
    from tasks.provenance import agreement
    from tasks.storage import index
    from tasks.tracking import runs as tracking

    archive = small()
    with serving(archive.served()) as server:
        p = fetching(workspace, server, archive)
        fetch_all(p)
        run_acquire(p)
    index.write(paths.INDEX, index.read(paths.CLIPS), index.INDEX_SCHEMA)
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with tracking.run("train", p) as tracker:
        tracker.file(paths.CLIPS, "tables")
    import mlflow

    tags = mlflow.get_run(tracker.run_id).data.tags
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # mlflow itself has set it
    assert tags["licence"] == agreement.LRS2_LICENCE
    assert (tags["agreement.organisation"], tags["agreement.date"]) == ("A University", "2026-01-31")
    assert len(tags["agreement.signed_sha256"]) == 64 and "A. Person" not in str(tags)
    texts = {str(f): f.read_bytes().decode("latin-1") for f in workspace.rglob("*") if f.is_file()}
    assert [where for where in texts if where.endswith("mlflow.db")] and "A University" in texts[
        str(workspace / "mlflow.db")
    ]
    for secret in (USER, PASSWORD):
        assert not [where for where, text in texts.items() if secret in text], secret


def test_a_password_in_the_address_is_refused(workspace):
    with pytest.raises(UserError, match=re.escape("corpus.lrs2.host must contain no user or password")) as caught:
        workspace_of(workspace, **{"corpus.lrs2.host": "https://me:pw@example.org"})
    assert "pw@" not in str(caught.value)
