"""Files that a user names."""

import os
import re
import threading
from pathlib import Path

import pytest

from tasks.core.errors import UserError
from tasks.core.files import demand_file, locked


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


def test_a_lock_names_who_holds_it_and_is_free_afterwards(tmp_path):
    lock = tmp_path / "lock"
    with (
        locked(lock, "busy"),
        pytest.raises(UserError, match=rf"^busy \(process {os.getpid()}, "),
        locked(lock, "busy"),
    ):
        pass
    with locked(lock, "busy"):
        pass


def test_of_many_at_once_one_has_the_lock_though_each_deletes_it(tmp_path):
    """A lock on a file that another has deleted meanwhile would be no lock."""
    lock, inside, most, held = tmp_path / "lock", set(), [], []

    def work(number):
        while number not in held:
            try:
                with locked(lock, "busy"):
                    inside.add(number)
                    most.append(len(inside))
                    held.append(number)
                    inside.remove(number)
                    lock.unlink()
            except UserError:
                os.sched_yield()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and sorted(held) == list(range(8)) and not lock.exists()
