"""Files that a user names."""

import re
from pathlib import Path

import pytest

from tasks.core.errors import UserError
from tasks.core.files import demand_file


def test_a_file_that_exists_is_returned(tmp_path):
    (tmp_path / "a.wav").touch()
    assert demand_file(str(tmp_path / "a.wav")) == tmp_path / "a.wav"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.wav",), "none.wav: no such file"),
        (("none.wav", "run `dvc repro`"), "none.wav: no such file; run `dvc repro`"),
        (("none.wav", "", "--audio"), "--audio none.wav: no such file"),
        (("folder",), "folder: a folder, not a file"),
    ],
)
def test_a_missing_file_is_one_line_that_names_it(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        demand_file(*arguments)
