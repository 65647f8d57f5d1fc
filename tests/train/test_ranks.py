"""Processes of one training on machines that share no folder: real gloo, two folders in place of two disks."""

import os
import socket
import subprocess
import sys
import textwrap

import pytest
from conftest import ROOT

from tasks.core import stopping
from tasks.core.errors import UserError


def ranks(tmp_path, code, folders=("a", "b"), **variables):
    """(exit status, output) of each rank of a program that begins inside `together`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    program = textwrap.dedent("""
        import os, sys, time
        from pathlib import Path
        import torch
        from tasks.core import distributed as ranks
        from tasks.core.errors import UserError
        from model.distributed import rank
        try:
            with ranks.together(torch.device("cpu")):
                exec(sys.argv[1])
        except UserError as error:
            print("error:", error, flush=True)
            sys.exit(error.exit_status)
    """)
    own = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} | variables
    running = []
    for rank, name in enumerate(folders):
        (tmp_path / name).mkdir(exist_ok=True)
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", program, textwrap.dedent(code)],
                cwd=tmp_path / name,
                env=os.environ | own | {"RANK": str(rank), "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=120)[0] for process in running]
    return [(process.returncode, output) for process, output in zip(running, outputs, strict=True)]


STATES = """
    print("keeps", ranks.keeps(Path("cache")))
    mine = [(0, 30), (1, 20)][rank()]  # after a rollback a lower step is the later state
    print("newest", ranks.newest(lambda: mine, lambda age: age))
    print("one", ranks.newest(lambda: mine if rank() else None, lambda age: age))
    print("none", ranks.newest(lambda: None, lambda age: age), ranks.from_first(lambda: {"rank": rank()}))
    print("stop", ranks.any_of("SIGTERM" if rank() else ""))
    print("left", sorted(file.name for file in Path("cache").iterdir()))
    ranks.demand_same({"seed": 1, "torch": "2"})
    ranks.demand_same({"seed": 1, "torch": ["2", "3"][rank()]})
"""


def test_each_machine_keeps_states_the_newest_is_resumed_and_other_facts_are_one_line_on_both(tmp_path):
    for rank, (status, output) in enumerate(ranks(tmp_path, STATES)):
        lines = output.splitlines()
        assert lines[:6] == [
            "keeps True", "newest (1, 20)", "one (1, 20)", "none None {'rank': 0}", "stop SIGTERM", "left []",
        ], (rank, output)  # fmt: skip
        host = socket.gethostname()
        assert lines[6:] == [f"error: {host} would train something else than {host}: torch 3 there, 2 on {host}"]
        assert status == 2


def test_one_of_two_machines_with_one_folder_keeps_states(tmp_path):
    done = ranks(tmp_path, 'print("keeps", ranks.keeps(Path("cache")))', ("a", "a"))
    assert [output.strip() for _, output in done] == ["keeps True", "keeps False"]


AWAY = """
    from model.distributed import mean
    mean(torch.ones(3))
    if rank():
        {how}
    mean(torch.ones(3))
"""


@pytest.mark.parametrize("how", ["os._exit(9)", "time.sleep(6)"])
def test_a_process_that_ends_or_says_nothing_is_one_line_for_the_others(tmp_path, how):
    (status, output), _ = ranks(tmp_path, AWAY.format(how=how), LIPGAN_STALL_S="2")
    assert status == 2 and output.startswith(f"error: {socket.gethostname()}: another process of the training ended")
    assert "did not answer for 2 s (LIPGAN_STALL_S)" in output and "the same command resumes" in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan"])
def test_a_limit_that_is_no_number_of_seconds_is_refused(monkeypatch, value):
    monkeypatch.setenv("LIPGAN_STALL_S", value)
    with pytest.raises(UserError, match="LIPGAN_STALL_S"):
        stopping.stall_s()
