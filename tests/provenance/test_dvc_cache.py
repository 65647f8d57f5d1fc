"""DVC's cache is where DVC itself says it is."""

from pathlib import Path

import pytest

from tasks.core import programs
from tasks.provenance import dvc_cache


@pytest.fixture
def project(workspace, monkeypatch):
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(workspace / "user"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(workspace / "machine"))
    Path(".dvc/tmp").mkdir(parents=True)
    (workspace / "user").mkdir()
    return workspace


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ({}, ".dvc/cache"),
        ({"user/config": "/shared"}, "/shared"),
        ({"user/config": "/shared", ".dvc/config": "../kept"}, "kept"),
        ({".dvc/config": "../kept", ".dvc/config.local": "'../mine'"}, "mine"),
    ],
)
def test_the_most_local_settings_name_the_cache_as_dvc_itself_says(project, settings, folder):
    Path(".dvc/config").write_text("[core]\n    no_scm = true\n['remote \"a\"']\n    url = s3://b/%20c\n")
    for file, place in settings.items():
        with Path(file).open("a") as text:
            text.write(f"[cache]\n    dir = {place}\n")
    assert dvc_cache.folder() == (project / folder).resolve()
    assert str(dvc_cache.folder()) == programs.ask_dvc("cache", "dir").strip()
