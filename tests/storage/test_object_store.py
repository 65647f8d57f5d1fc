"""Object storage against a real S3 server on loopback: units shared between machines, raw shards, and errors."""

import json
import os
import socket
import traceback
from pathlib import Path

import pytest
import s3_server
from conftest import TINY, inside, params_text, run_acquire
from s3_server import BUCKET

from tasks.acquire import stage as acquire
from tasks.core import config, files, paths
from tasks.core.errors import UserError
from tasks.preprocess import stage as preprocess
from tasks.storage import index, object_store, remote_shards, shards, unit_cache
from tasks.storage.unit_cache import Unit


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    s3_server.needed()
    with s3_server.serving(tmp_path_factory.mktemp("s3")) as variables:
        yield variables


@pytest.fixture
def bucket(s3, monkeypatch, tmp_path):
    """A folder of the bucket for one test; the variables to reach it are set."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    restart(monkeypatch)
    yield f"s3://{BUCKET}/{tmp_path.name}"
    object_store._connected.cache_clear()  # a connection without credentials must not reach other tests


def restart(monkeypatch):
    """As in a new process: the environment is read again."""
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setattr(object_store, "CONNECT_S", 1)
    object_store._connected.cache_clear()


def write(unit, folder):
    (folder / "shard.tar").write_bytes(b"bytes of " + json.dumps(unit.inputs).encode())
    (folder / "rows.json").write_text("[]")


def never(unit, folder):
    raise AssertionError(f"{unit.name} was built again")


def units(num=3):
    return [Unit("test", f"{n}.tar", {"n": n}, {}) for n in range(num)]


@pytest.fixture
def machine(tmp_path, monkeypatch, bucket):
    """`machine("a")` switches to the local unit cache of that machine; the bucket is shared."""
    monkeypatch.setenv("LIPGAN_UNITS", f"{bucket}/units")

    def use(name):
        monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / name))

    use("a")
    return use


def test_a_unit_built_on_one_machine_is_not_built_again_on_another(machine):
    for unit in units():
        unit_cache.make(write, unit)
    machine("b")
    assert not any(unit.done for unit in units())
    unit_cache.exchange(units())
    for unit in units():
        unit_cache.make(never, unit)
        assert (unit.folder / "shard.tar").read_bytes() == b"bytes of " + json.dumps(unit.inputs).encode()
        assert (unit.folder / "shard.tar").stat().st_mode & 0o222 == 0


def test_units_built_offline_are_sent_later(machine, monkeypatch, bucket):
    monkeypatch.delenv("LIPGAN_UNITS")
    unit_cache.make(write, units()[0])
    monkeypatch.setenv("LIPGAN_UNITS", f"{bucket}/units")
    unit_cache.exchange(units())
    machine("b")
    unit_cache.exchange(units())
    assert [unit.done for unit in units()] == [True, False, False]


def test_a_shared_object_that_is_not_a_unit_is_named_and_not_used(machine, tmp_path):
    unit = units()[0]
    (tmp_path / "junk").write_bytes(b"<html>" * 500)
    unit_cache.shared().put(tmp_path / "junk", unit.shared_name)
    with pytest.raises(UserError, match=rf"{unit.key}\.tar: not a unit .* delete it there"):
        unit_cache.exchange([unit])
    assert not unit.done and not [f for f in unit.folder.parent.iterdir()]


def test_a_unit_with_a_path_outside_its_folder_writes_nothing_there(machine, tmp_path):
    import io
    import tarfile

    unit = units()[0]
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        info = tarfile.TarInfo("../../evil")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    unit_cache.shared().put(tmp_path / "evil.tar", unit.shared_name)
    with pytest.raises(UserError, match="not a unit"):
        unit_cache.exchange([unit])
    assert not list((tmp_path / "a").rglob("evil"))


def test_a_second_machine_reuses_every_unit_and_gets_the_same_bytes(tiny, machine, tmp_path):
    p = config.load()
    machine("tiny/.cache")  # where everything was built
    for stage in (acquire, preprocess):
        unit_cache.exchange(stage.plan(p)[0])
    wanted = {file: file.read_bytes() for folder in (paths.RAW, paths.SHARDS) for file in folder.iterdir()}
    wanted |= {file: file.read_bytes() for file in (paths.CLIPS, paths.INDEX)}
    for file in wanted:
        file.unlink()
    machine("b")
    for stage in (acquire, preprocess):
        planned, refused = stage.plan(p)
        unit_cache.exchange(planned)
        assert planned and all(unit.done for unit in planned)
        for unit in planned:
            unit_cache.make(never, unit)
        stage.collect(planned, refused, *([p] if stage is acquire else []))
    assert {file: file.read_bytes() for file in wanted} == wanted


@pytest.fixture(scope="module")
def remote(tiny_folder, s3, tmp_path_factory):
    """The tiny corpus with its raw shards in the bucket, in a folder of its own."""
    folder = tmp_path_factory.mktemp("remote")
    (folder / "params.yaml").write_text(params_text(TINY | {"acquire.raw": f"s3://{BUCKET}/raw"}))
    with inside(folder), pytest.MonkeyPatch.context() as patch:
        for name, value in s3.items():
            patch.setenv(name, value)
        restart(patch)
        run_acquire(config.load())
    return folder


def test_raw_shards_in_a_bucket_give_the_shards_that_local_ones_do(remote, tiny_folder, bucket):
    assert {file.suffix for file in (remote / paths.RAW).iterdir()} == {".json"}
    assert not list(remote.rglob("raw/*.tar")) and not list((remote / ".cache/units/acquire").rglob("shard.tar"))
    assert (remote / paths.CLIPS).read_bytes() == (tiny_folder / paths.CLIPS).read_bytes()
    with inside(remote):
        planned, _ = preprocess.plan(config.load())
        unit = next(unit for unit in planned if unit.name.startswith("test"))
        unit_cache.make(preprocess.build, unit)
        assert (unit.folder / "shard.tar").read_bytes() == (tiny_folder / paths.SHARDS / unit.name).read_bytes()


def test_a_clip_is_read_through_the_pointer_of_its_shard(remote, tiny_folder, bucket):
    for row in index.kept(index.read(remote / paths.CLIPS))[:5]:
        shard = remote / paths.RAW / row["shard"]
        read = shards.read(shard, row["offset"], row["size"])
        assert read == shards.read(tiny_folder / paths.RAW / row["shard"], row["offset"], row["size"])
        pointer = json.loads(shard.with_name(shard.name + ".json").read_text())
        assert pointer["sha256"] == files.sha256_file(tiny_folder / paths.RAW / row["shard"])
    with pytest.raises(UserError, match=r"ends before byte"):
        shards.read(shard, pointer["bytes"] - 512, 1024)


def test_a_missing_raw_shard_is_one_line(bucket, tmp_path):
    (tmp_path / "a.tar").write_bytes(b"1" * 2048)
    remote_shards.send(tmp_path / "a.tar", "a.tar", bucket)
    pointer = tmp_path / "a.tar.json"
    pointer.write_text(pointer.read_text().replace("a-", "b-"))
    with pytest.raises(UserError, match=r"b-\w{16}\.tar: no such object or bucket"):
        shards.read(tmp_path / "a.tar", 0, 512)
    pointer.write_text("{}")
    with pytest.raises(UserError, match="not a pointer to a shard"):
        shards.read(tmp_path / "a.tar", 0, 512)
    with pytest.raises(UserError, match="no such shard, but the index names it"):
        shards.read(tmp_path / "none.tar", 0, 512)


def line_of(run):
    """The one line that the user sees."""
    with pytest.raises(UserError) as caught:
        run()
    assert "\n" not in str(caught.value)
    assert s3_server.SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_errors_are_one_line_without_a_secret_and_do_not_hang(bucket, tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"x")
    missing = object_store.at("s3://no-such-bucket/units", "LIPGAN_UNITS")
    assert "no such object or bucket; check LIPGAN_UNITS" in line_of(lambda: missing.put(tmp_path / "x", "x"))
    assert "no such object or bucket; check LIPGAN_UNITS" in line_of(lambda: missing.sizes("test"))
    with socket.socket() as closed:  # a closed port
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        restart(monkeypatch)
        assert "AWS_ENDPOINT_URL and the network" in line_of(
            lambda: object_store.at(bucket, "x").put(tmp_path / "x", "x")
        )
        assert "AWS_ENDPOINT_URL and the network" in line_of(lambda: object_store.at(bucket, "x").sizes("test"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    restart(monkeypatch)
    assert "no credentials: set AWS_ACCESS_KEY_ID" in line_of(
        lambda: object_store.at(bucket, "x").put(tmp_path / "x", "x")
    )


@pytest.mark.parametrize("url", ["gs://b/x", "s3://", "/data/units", "s3://key:hunter2@bucket/x"])
def test_a_bad_address_is_refused_without_its_password(url, monkeypatch):
    monkeypatch.setenv("LIPGAN_UNITS", url)
    line = line_of(unit_cache.shared)
    assert line.startswith("LIPGAN_UNITS: must be s3://bucket/folder") and "hunter2" not in line


def test_a_bad_place_for_raw_shards_stops_the_first_stage(workspace):
    Path("params.yaml").write_text(params_text(TINY | {"acquire.raw": "s3://me:pw@bucket"}))
    assert "acquire.raw must be local or s3://bucket/folder" in line_of(config.load)
