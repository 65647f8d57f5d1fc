"""A local Dask cluster makes the bytes that one process makes."""

import hashlib
from pathlib import Path

import pytest

from flows import engine
from tasks import config, paths, preprocess, units, yaw
from tasks.stage import UserError


def hashes(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def test_a_dask_cluster_makes_the_same_shards_in_other_processes(tiny, monkeypatch):
    pytest.importorskip("distributed")
    before = hashes(paths.SHARDS)
    monkeypatch.setenv("LIPGAN_CACHE", str(tiny / "elsewhere"))
    planned, refused = preprocess.plan(config.load(Path("params.yaml")))
    assert planned and not any(unit.done for unit in planned)
    with engine.pool("dask", 2) as executor:
        for future in [executor.submit(units.make, preprocess.build, unit) for unit in planned]:
            future.result()
    assert all(unit.done for unit in planned)
    preprocess.collect(planned, refused)
    assert hashes(paths.SHARDS) == before


def test_an_error_in_a_dask_worker_is_the_stages_error(tiny):
    pytest.importorskip("distributed")
    with engine.pool("dask", 1) as executor, pytest.raises(UserError, match="no yaw estimator"):
        executor.submit(yaw.load, Path("nowhere")).result()
