"""What lies in a folder of videos and is no file: each is a row by name and reason, and nothing waits for it."""

import errno
import os
import socket
import time
from pathlib import Path

import pytest
from conftest import TINY, params_text

from tasks.acquire import folder
from tasks.core import config
from tasks.media import folder_files


@pytest.fixture
def videos(workspace):
    (workspace / "params.yaml").write_text(params_text(TINY | {"corpus.name": "folder", "corpus.folder": "videos"}))
    made = workspace / "videos"
    (made / "talks").mkdir(parents=True)
    (made / "a.mp4").write_bytes(b"a")
    (made / "talks/b.mp4").write_bytes(b"b")
    return made


def rows():
    wanted, refused = folder.clips(config.load())
    assert len({row["clip"] for row in [*wanted, *refused]}) == len(wanted) + len(refused)
    return [row["source"] for row in wanted], {row["source"]: (row["reason"], row["detail"]) for row in refused}


def test_links_to_nothing_pipes_sockets_devices_and_dot_files_are_rows(videos, monkeypatch):
    (videos / "gone.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(videos / "pipe.mp4")
    monkeypatch.chdir(videos)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.mp4")
        monkeypatch.chdir(videos.parent)
        (videos / "null.mp4").symlink_to("/dev/null")
        (videos / ".hidden.mp4").write_bytes(b"h")
        (videos / ".gitkeep").touch()  # git's own placeholder is no row
        (videos / ".cache").mkdir()
        (videos / ".cache/c.mp4").write_bytes(b"c")
        began_s = time.monotonic()
        wanted, refused = rows()
    assert wanted == ["a.mp4", "talks/b.mp4"] and time.monotonic() - began_s < 60
    assert refused == {
        "gone.mp4": ("not_a_file", "a link to nothing"),
        "pipe.mp4": ("not_a_file", "a pipe"),
        "socket.mp4": ("not_a_file", "a socket"),
        "null.mp4": ("not_a_file", "a device"),
        ".hidden.mp4": ("hidden", "its name begins with a dot"),
        ".cache": ("hidden", "its name begins with a dot"),
    }


def test_a_linked_folder_is_entered_and_a_circle_is_a_row(videos, tmp_path):
    (tmp_path / "away").mkdir()
    (tmp_path / "away/c.mp4").write_bytes(b"c")
    (videos / "linked").symlink_to(tmp_path / "away")
    (videos / "talks/up").symlink_to("..")
    wanted, refused = rows()
    assert wanted == ["a.mp4", "linked/c.mp4", "talks/b.mp4"]
    assert refused == {"talks/up": ("not_a_file", "a link in a circle")}


def test_a_pipe_is_found_before_a_program_hashes_the_folder(videos):
    assert folder_files.pipe_in(videos) is None
    (videos / ".cache").mkdir()
    os.mkfifo(videos / ".cache/pipe")
    assert folder_files.pipe_in(videos) == videos / ".cache/pipe"


def test_a_transcript_that_cannot_be_read_refuses_its_video_alone(videos, monkeypatch):
    (videos / "a.txt").write_text("words")
    read_bytes = Path.read_bytes

    def denied(path):
        if path.name == "a.txt":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", denied)  # chmod does not stop root
    wanted, refused = rows()
    assert wanted == ["talks/b.mp4"]
    assert refused == {"a.mp4": ("unreadable", "its transcript cannot be read: Permission denied")}
