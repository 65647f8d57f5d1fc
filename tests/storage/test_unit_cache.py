import json
import os

import pytest

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


def test_a_failed_collect_leaves_the_old_folder_unchanged(tmp_path):
    unit_cache.make(build, unit("1.tar", n=1))
    unit_cache.collect([unit("1.tar", n=1)], "shard.tar", tmp_path / "out")
    with pytest.raises(FileNotFoundError):
        unit_cache.collect([unit("1.tar", n=1), unit("2.tar", n=2)], "shard.tar", tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["1.tar"]


def test_a_finished_unit_is_read_only():
    unit_cache.make(build, unit())
    assert (unit().folder / "shard.tar").stat().st_mode & 0o222 == 0
