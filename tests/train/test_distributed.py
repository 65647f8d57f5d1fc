"""Two processes train as one does, on the same global batch: the real torchrun, gloo, CPU."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TINY, inside, params_text

from model import distributed as ranks
from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.loading.batches import Batches
from tasks.loading.clips import Clips
from tasks.train import stage as train

PARAMS = TINY | {"train.num_steps": 4, "train.log_every": 1, "train.checkpoint_every": 4}


def torchrun(folder, num, **variables):
    given = os.environ | {"PYTHONPATH": str(ROOT), "LIPGAN_CACHE": str(folder / ".cache"), "OMP_NUM_THREADS": "1"}
    words = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(num), "-m", "tasks.train"]
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=given | variables, capture_output=True, text=True, timeout=900
    )


def curve(folder):
    return list(csv.DictReader((folder / paths.TRAIN_CURVE).open()))


@pytest.fixture(scope="module")
def one_and_two(tiny_folder, tmp_path_factory):
    """Folders of the same training by one process and by two."""
    one, two = (shutil.copytree(tiny_folder, tmp_path_factory.mktemp(name) / "p") for name in ("one", "two"))
    for folder in (one, two):
        (folder / "params.yaml").write_text(params_text(PARAMS))
    with inside(one):
        train.run(config.load(Path("params.yaml")))
    done = torchrun(two, 2, LIPGAN_TRACKING="jsonl")
    assert done.returncode == 0, done.stderr
    return one, two


def test_two_processes_log_what_one_logs(one_and_two):
    one, two = (curve(folder) for folder in one_and_two)
    assert len(one) == len(two) == 4
    for name in ("g_loss", "d_loss", "l1", "sync_loss"):
        assert float(two[0][name]) == pytest.approx(float(one[0][name]), rel=2e-5), name
    # the covered half of a new network's maps is one value: rounding takes all of it over a ReLU's kink at once
    for name in ("g_grad_norm", "d_grad_norm"):
        assert float(two[0][name]) == pytest.approx(float(one[0][name]), rel=2e-2), name
    # from the second step on weights differ by what Adam makes of gradients that are nothing but rounding
    for row, other in zip(one, two, strict=True):
        for name in row:
            if row[name] and "grad_norm" not in name:
                assert float(other[name]) == pytest.approx(float(row[name]), rel=1e-1, abs=1e-3), (row["step"], name)


def test_only_the_first_process_tracks(one_and_two):
    tracked = list((one_and_two[1] / ".cache/tracking").glob("*/metrics.jsonl"))
    assert len(tracked) == 1 and len(tracked[0].read_text().splitlines()) == 4


@pytest.mark.parametrize("num_ranks", [1, 2, 4])
def test_the_ranks_together_have_the_batch_of_one(tiny, num_ranks):
    p = config.load(Path("params.yaml")).train
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    whole, *parts = (
        Batches(clips, p, 3, 2, rank=rank, num_ranks=num)
        for rank, num in [(0, 1), *((rank, num_ranks) for rank in range(num_ranks))]
    )
    for _ in range(5):
        expected, taken = next(whole), [next(part) for part in parts]
        for k, tensor in enumerate(expected):
            assert np.array_equal(np.concatenate([batch[k].numpy() for batch in taken]), tensor.numpy())
    for batches in (whole, *parts):
        batches.close()


def test_a_batch_that_the_processes_cannot_share_is_refused(tiny, monkeypatch):
    monkeypatch.setattr(train, "num_ranks", lambda: 3)
    with pytest.raises(UserError, match=r"train\.batch_size is 4: 3 processes cannot share it evenly"):
        train.run(config.load(Path("params.yaml")))


def test_a_single_process_sends_nothing():
    assert (ranks.num_ranks(), ranks.rank()) == (1, 0)
