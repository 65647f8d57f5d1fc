import json
import os
import tempfile
from pathlib import Path

import pytest

from tasks.core.errors import UserError
from tasks.storage import unit_cache
from tasks.storage.unit_cache import Unit


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / "cache"))


def unit(name="a.tar", **inputs):
    return Unit(stage="test", name=name, inputs=inputs or {"n": 1}, hints={})


def build(unit, folder):
    (folder / "shard.tar").write_bytes(json.dumps(unit.inputs).encode())


def test_stage_and_inputs_alone_decide_the_key():
    one = Unit("test", "a", {"n": 1, "m": 2}, {"path": "x"})
    same = Unit("test", "b", {"m": 2, "n": 1}, {"path": "y"}, size=9)
    assert one.key == same.key
    assert one.key != Unit("test", "a", {"n": 1, "m": 3}, {"path": "x"}).key
    assert one.key != Unit("other", "a", {"n": 1, "m": 2}, {"path": "x"}).key


def test_a_unit_is_built_once():
    calls = []

    def counted(unit, folder):
        calls.append(unit.name)
        build(unit, folder)

    unit_cache.make(counted, unit())
    unit_cache.make(counted, unit())
    assert calls == ["a.tar"]


def test_a_unit_whose_build_fails_is_absent():
    def half(unit, folder):
        (folder / "shard.tar").write_bytes(b"half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        unit_cache.make(half, unit())
    assert not unit().done
    unit_cache.make(build, unit())
    assert (unit().folder / "shard.tar").read_bytes() == b'{"n": 1}'


def test_collect_leaves_the_planned_files_and_no_older_ones(tmp_path):
    for n in (1, 2):
        unit_cache.make(build, unit(f"{n}.tar", n=n))
    unit_cache.collect([unit("1.tar", n=1)], "shard.tar", tmp_path / "out")
    files = unit_cache.collect([unit("2.tar", n=2)], "shard.tar", tmp_path / "out")
    assert [f.name for f in files] == ["2.tar"] == os.listdir(tmp_path / "out")
    assert json.loads(files[0].read_bytes()) == {"n": 2}


def test_a_collected_file_is_the_unit_itself_and_takes_no_disk(tmp_path):
    unit_cache.make(build, unit("1.tar", n=1))
    [file] = unit_cache.collect([unit("1.tar", n=1)], "shard.tar", tmp_path / "out")
    assert file.samefile(unit("1.tar", n=1).folder / "shard.tar") and not file.is_symlink()


def test_a_unit_on_another_disk_is_collected_by_a_symbolic_link(tmp_path, monkeypatch):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    with tempfile.TemporaryDirectory(dir=elsewhere) as cache:
        monkeypatch.setenv("LIPGAN_CACHE", cache)
        unit_cache.make(build, unit("1.tar", n=1))
        [file] = unit_cache.collect([unit("1.tar", n=1)], "shard.tar", tmp_path / "out")
        assert file.is_symlink() and json.loads(file.read_bytes()) == {"n": 1}


def test_a_failed_collect_leaves_the_old_folder_unchanged(tmp_path):
    unit_cache.make(build, unit("1.tar", n=1))
    unit_cache.collect([unit("1.tar", n=1)], "shard.tar", tmp_path / "out")
    with pytest.raises(UserError, match=r"a finished unit without shard\.tar"):
        unit_cache.collect([unit("1.tar", n=1), unit("2.tar", n=2)], "shard.tar", tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["1.tar"]


def test_a_finished_unit_is_read_only():
    unit_cache.make(build, unit())
    assert (unit().folder / "shard.tar").stat().st_mode & 0o222 == 0


class OneObject:
    """A shared cache that holds these bytes for every unit."""

    url = "s3://shared"

    def __init__(self, content):
        self.content = content

    def get(self, name, path):
        path.write_bytes(self.content)


@pytest.mark.parametrize("content", [b"", bytes(10240), b"<html>" * 200, b"\xff" * 600])
def test_an_empty_or_foreign_unit_of_a_shared_cache_is_one_line_and_not_kept(content):
    with pytest.raises(UserError, match=r"s3://shared/test/\w+\.tar: not a unit .*delete it there") as caught:
        unit_cache._fetch(unit(), OneObject(content), len(content))
    assert "\n" not in str(caught.value) and not unit().done


def test_a_finished_unit_without_its_member_names_the_folder_to_delete(tmp_path):
    unit().folder.mkdir(parents=True)
    with pytest.raises(UserError, match=r"a finished unit without shard\.tar; delete that folder"):
        unit_cache.collect([unit()], "shard.tar", tmp_path / "out")


def test_a_worker_with_other_libraries_than_the_unit_was_planned_with_is_one_line(workspace):
    here = unit_cache.library_versions("numpy")
    unit_cache.make(build, unit("right", libraries=here))
    with pytest.raises(UserError, match=r"has numpy [\d.]+, not 0\.1; no-such none, not 2: bytes could") as caught:
        unit_cache.make(build, unit("other", libraries={"numpy": "0.1", "no-such": "2"}))
    assert "\n" not in str(caught.value)
