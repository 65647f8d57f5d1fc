"""A training on two hosts with a network of their own, one of which loses its link (benchmarks/netns.py)."""

import sys
import time

import pytest
from conftest import ROOT

from benchmarks import hosts as rehearsals
from benchmarks import netns

PROGRAM = """
import sys, time
from pathlib import Path
import torch
from model.distributed import mean
from tasks.core import distributed as ranks
from tasks.core.errors import UserError
try:
    with ranks.together(torch.device("cpu")):
        print("keeps", ranks.keeps(Path("cache")), sorted(file.name for file in Path().iterdir()), flush=True)
        while True:
            mean(torch.ones(3))
            Path("going").touch()
            time.sleep(0.05)
except UserError as error:
    print("error:", error, flush=True)
    sys.exit(error.exit_status)
"""


@pytest.mark.skipif(bool(netns.lacking()), reason=netns.lacking())
def test_a_host_that_loses_its_link_is_one_line_on_the_other_which_keeps_the_state_itself(tmp_path):
    with netns.hosts(["a", "b"], tmp_path, shared=False) as pair:
        runs = [
            host.start(
                [sys.executable, "-c", PROGRAM], tmp_path / host.name, RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK="0",
                MASTER_ADDR="a", MASTER_PORT="29500", PYTHONPATH=str(ROOT), LIPGAN_STALL_S="10", OMP_NUM_THREADS="1",
            )
            for rank, host in enumerate(pair)
        ]  # fmt: skip
        deadline = time.monotonic() + 120
        while not all((host.files / "going").exists() for host in pair) and time.monotonic() < deadline:
            time.sleep(0.1)
        pair[0].vanish()
        assert runs[1].wait(60) == 2
    said = [(tmp_path / name).read_text().splitlines() for name in "ab"]  # among warnings of torch
    assert [line for lines in said for line in lines if line.startswith("keeps")] == ["keeps True ['cache']"] * 2
    last = said[1][-1]
    assert last.startswith("error: b: another process of the training ended, or did not answer for 10 s"), last


def test_the_rehearsal_says_in_one_line_what_it_lacks(monkeypatch, capsys):
    monkeypatch.setattr(netns.os, "geteuid", lambda: 1000)
    assert rehearsals.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("benchmarks.hosts: network namespaces need root") and said.count("\n") == 1
