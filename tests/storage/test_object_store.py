"""Object storage against a real S3 server on loopback: units shared by machines, raw shards, and what goes wrong."""

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
    """A folder of the bucket for one test alone; the variables to reach it are set."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    fresh(monkeypatch)
    return f"s3://{BUCKET}/{tmp_path.name}"


def fresh(monkeypatch):
    """As a new process: what was read of the environment before is forgotten."""
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setattr(object_store, "CONNECT_S", 1)
    object_store._file_system.cache_clear()


def write(unit, folder):
    (folder / "shard.tar").write_bytes(b"bytes of " + json.dumps(unit.inputs).encode())
    (folder / "rows.json").write_text("[]")


def never(unit, folder):
    raise AssertionError(f"{unit.name} was made again")


def some(num=3):
    return [Unit("test", f"{n}.tar", {"n": n}, {}) for n in range(num)]


@pytest.fixture
def machine(tmp_path, monkeypatch, bucket):
    """`machine("a")`: from now on the unit cache is that machine's own; what they share is in the bucket."""
    monkeypatch.setenv("LIPGAN_UNITS", f"{bucket}/units")

    def use(name):
        monkeypatch.setenv("LIPGAN_CACHE", str(tmp_path / name))

    use("a")
    return use


def test_what_one_machine_made_another_does_not_make_again(machine):
    for unit in some():
        unit_cache.make(write, unit)
    machine("b")
    assert not any(unit.done for unit in some())
    unit_cache.exchange(some())
    for unit in some():
        unit_cache.make(never, unit)
        assert (unit.folder / "shard.tar").read_bytes() == b"bytes of " + json.dumps(unit.inputs).encode()
        assert (unit.folder / "shard.tar").stat().st_mode & 0o222 == 0


def test_what_was_made_without_a_network_is_sent_later(machine, monkeypatch, bucket):
    monkeypatch.delenv("LIPGAN_UNITS")
    unit_cache.make(write, some()[0])
    monkeypatch.setenv("LIPGAN_UNITS", f"{bucket}/units")
    unit_cache.exchange(some())
    machine("b")
    unit_cache.exchange(some())
    assert [unit.done for unit in some()] == [True, False, False]


def test_a_shared_unit_that_is_none_is_named_and_not_taken(machine, tmp_path):
    unit = some()[0]
    (tmp_path / "junk").write_bytes(b"<html>" * 500)
    unit_cache.shared().put(tmp_path / "junk", unit.shared_name)
    with pytest.raises(UserError, match=rf"{unit.key}\.tar: not a unit .* delete it there"):
        unit_cache.exchange([unit])
    assert not unit.done and not [f for f in unit.folder.parent.iterdir()]


def test_a_unit_that_points_outside_its_folder_writes_nothing_there(machine, tmp_path):
    import io
    import tarfile

    unit = some()[0]
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        info = tarfile.TarInfo("../../evil")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    unit_cache.shared().put(tmp_path / "evil.tar", unit.shared_name)
    with pytest.raises(UserError, match="not a unit"):
        unit_cache.exchange([unit])
    assert not list((tmp_path / "a").rglob("evil"))


def test_a_second_machine_acquires_and_preprocesses_nothing_and_gets_the_same_bytes(tiny, machine, tmp_path):
    p = config.load()
    machine("tiny/.cache")  # where all of it has been made
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
def there(tiny_folder, s3, tmp_path_factory):
    """The tiny corpus with its raw shards in the bucket, made in a folder of its own."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "params.yaml").write_text(params_text(TINY | {"acquire.raw": f"s3://{BUCKET}/raw"}))
    (folder / "models").mkdir()
    for made in (paths.LANDMARKS, paths.YAW):
        (folder / made).write_bytes((tiny_folder / made).read_bytes())
    with inside(folder), pytest.MonkeyPatch.context() as patch:
        for name, value in s3.items():
            patch.setenv(name, value)
        fresh(patch)
        run_acquire(config.load())
    return folder


def test_raw_shards_in_a_bucket_give_the_shards_that_local_ones_do(there, tiny_folder, bucket):
    assert {file.suffix for file in (there / paths.RAW).iterdir()} == {".json"}
    assert not list(there.rglob("raw/*.tar")) and not list((there / ".cache/units/acquire").rglob("shard.tar"))
    assert (there / paths.CLIPS).read_bytes() == (tiny_folder / paths.CLIPS).read_bytes()
    with inside(there):
        planned, _ = preprocess.plan(config.load())
        unit = next(unit for unit in planned if unit.name.startswith("test"))
        unit_cache.make(preprocess.build, unit)
        assert (unit.folder / "shard.tar").read_bytes() == (tiny_folder / paths.SHARDS / unit.name).read_bytes()


def test_a_clip_is_read_by_its_place_and_its_pointer_says_which_bytes(there, tiny_folder, bucket):
    for row in index.kept(index.read(there / paths.CLIPS))[:5]:
        shard = there / paths.RAW / row["shard"]
        read = shards.read(shard, row["offset"], row["size"])
        assert read == shards.read(tiny_folder / paths.RAW / row["shard"], row["offset"], row["size"])
        pointer = json.loads(shard.with_name(shard.name + ".json").read_text())
        assert pointer["sha256"] == files.sha256_file(tiny_folder / paths.RAW / row["shard"])
    with pytest.raises(UserError, match=r"ends before byte"):
        shards.read(shard, pointer["bytes"] - 512, 1024)


def test_a_raw_shard_that_is_gone_or_was_never_there_is_one_line(bucket, tmp_path):
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


def told(run):
    """The one line that a person sees."""
    with pytest.raises(UserError) as caught:
        run()
    assert "\n" not in str(caught.value)
    assert s3_server.SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_what_goes_wrong_is_one_line_without_a_secret_and_no_endless_wait(bucket, tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(b"x")
    missing = object_store.at("s3://no-such-bucket/units", "LIPGAN_UNITS")
    assert "no such object or bucket; check LIPGAN_UNITS" in told(lambda: missing.put(tmp_path / "x", "x"))
    assert "no such object or bucket; check LIPGAN_UNITS" in told(lambda: missing.sizes("test"))
    with socket.socket() as closed:  # a port where nobody listens
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        fresh(monkeypatch)
        assert "AWS_ENDPOINT_URL and the network" in told(lambda: object_store.at(bucket, "x").put(tmp_path / "x", "x"))
        assert "AWS_ENDPOINT_URL and the network" in told(lambda: object_store.at(bucket, "x").sizes("test"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    fresh(monkeypatch)
    assert "no credentials: set AWS_ACCESS_KEY_ID" in told(
        lambda: object_store.at(bucket, "x").put(tmp_path / "x", "x")
    )


@pytest.mark.parametrize("url", ["gs://b/x", "s3://", "/data/units", "s3://key:hunter2@bucket/x"])
def test_an_address_that_is_none_is_refused_without_its_password(url, monkeypatch):
    monkeypatch.setenv("LIPGAN_UNITS", url)
    line = told(unit_cache.shared)
    assert line.startswith("LIPGAN_UNITS: wanted s3://bucket/folder") and "hunter2" not in line


def test_a_bad_place_for_raw_shards_stops_the_first_stage(workspace):
    Path("params.yaml").write_text(params_text(TINY | {"acquire.raw": "s3://me:pw@bucket"}))
    assert "acquire.raw must be local or s3://bucket/folder" in told(config.load)
