"""Stages that train: again from nothing, stopped once and resumed, they write the same bytes."""

import contextlib
import shutil

import pytest

from tasks.core import paths
from tasks.core.errors import Stopped
from tasks.motion import steps


class Stop:
    why = "test"


def demand_same_bytes(stage, name, weights, p, monkeypatch):
    """stage: the module.  name: of its folder in the cache.  weights: what it wrote before, with a JSON beside it"""

    def written():
        return weights.read_bytes(), weights.with_suffix(".json").read_bytes()

    before = written()
    shutil.rmtree(paths.cache() / name)
    with monkeypatch.context() as patch:
        patch.setattr(steps, "stoppable", lambda: contextlib.nullcontext(Stop()))
        with pytest.raises(Stopped):
            stage.run(p)
    stage.run(p)
    assert written() == before
