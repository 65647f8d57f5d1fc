"""DVC with an S3 remote, and a unit cache that two machines share: real commands, a real S3 server on loopback."""

import re
import shutil
import subprocess

import pytest
import s3_server
from conftest import TINY
from prefect_server import variables
from test_pipeline import DVC, FLOW, call, copy_project, hashes, stages_run


def git(folder, *words):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True, capture_output=True
    )


@pytest.mark.slow
def test_another_clone_pulls_from_s3_what_was_pushed_and_rebuilds_nothing(tiny_folder, server, tmp_path):
    s3_server.needed()
    with s3_server.serving(tmp_path) as aws:
        there = f"s3://{s3_server.BUCKET}"
        environment = variables(tmp_path, **aws, PREFECT_API_URL=server, LIPGAN_UNITS=f"{there}/units")
        first = copy_project(tmp_path / "first", TINY)
        shutil.copytree(tiny_folder / ".cache", first / ".cache")
        assert stages_run(call([*DVC, "repro", "preprocess"], first, environment)) == ["acquire", "preprocess"]
        call([*DVC, "remote", "add", "-d", "bucket", f"{there}/dvc"], first, environment)
        call([*DVC, "remote", "modify", "bucket", "endpointurl", aws["AWS_ENDPOINT_URL"]], first, environment)
        call([*DVC, "push", "preprocess", "acquire"], first, environment)
        git(first, "add", "-A")
        git(first, "commit", "-qm", "made")
        git(tmp_path, "clone", "-q", str(first), "second")
        second = tmp_path / "second"
        call([*DVC, "pull", "--allow-missing", "preprocess"], second, environment)
        wanted = hashes(first, "data/shards", "models") | hashes(first, "data/raw")
        assert hashes(second, "data/shards", "models") == hashes(first, "data/shards", "models")
        assert not (second / "data/raw").exists()  # push: false: licensed bytes are in no remote
        assert stages_run(call([*DVC, "repro", "--allow-missing", "preprocess"], second, environment)) == []
        again = call([*DVC, "repro", "preprocess"], second, environment)  # raw shards come from the shared units
        assert stages_run(again) == ["acquire", "preprocess"], again  # the page of faces is in no remote either
        assert re.search(r"acquire: ran 0, kept \d", again) and re.search(r"preprocess: ran 0, kept \d", again), again
        assert hashes(second, "data/shards", "models", "data/raw") == wanted
        assert "preprocess: ran 0, kept 5" in call([*FLOW, "preprocess"], second, environment)
        texts = {str(f): f.read_bytes().decode("latin-1") for f in tmp_path.rglob("*") if f.is_file()}
        assert not [where for where, text in texts.items() if s3_server.SECRET in text]
    shutil.rmtree(second / ".cache")
    gone = call([*FLOW, "preprocess"], second, environment, expect=2)  # the server is away
    assert gone.count("error: ") == 1 and "the network: finished work is kept" in gone and "Traceback" not in gone
