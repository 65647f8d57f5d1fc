"""What Prefect's pages show, asked of a real server; and the same engine without one."""

import json
import os
import subprocess
import sys
import time

import prefect_server
import pytest
from conftest import ROOT, TINY, git, params_text
from prefect_server import ask, variables

CODE = """
import logging, sys
from pathlib import Path
from flows import engine, offline, pages
from tasks.core import config
from tasks.core.errors import Outage, UserError
from tasks.core.progress import say

engine.RETRY_AFTER_S[:] = [0.0, 0.0]
tried = []

def fetch(name):
    tried.append(name)
    if tried.count("part2") == 2 and name == "part2":
        logging.getLogger("tasks.acquire.download").warning("slow {server}")
    if name == "part2" and tried.count("part2") < 3:
        raise Outage("the network is away")

@engine.stage_flow("acquire", lambda p: "2 parts")
def run(p):
    say("a line for the log")
    engine.run_each("fetch", ["part1", "part2"], fetch)
    pages.refusals("acquire", 5, {"no_face": 2, "black": 1})

def refuse():
    raise UserError("refused for a reason")

run(config.load())
print(tried.count("part1"), tried.count("part2"), "prefect.server" in sys.modules)
try:
    engine.run_flow("refusing", lambda: engine.run_alone("refuse", refuse), "refusing", {})
except UserError as error:
    print("the line:", error)
"""


@pytest.fixture
def repository(workspace):
    git("init", "-q")
    git("add", "params.yaml")
    git("commit", "-qm", "params")
    (workspace / "params.yaml").write_text(params_text(TINY | {"train.lr": 0.002, "faces.min_frames": 13}))
    return workspace


def run(folder, code=CODE, **more):
    environment = variables(folder, PYTHONPATH=str(ROOT), **more)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


WANTED = ["1 3 False", "the line: refused for a reason"]


def test_without_a_server_none_is_started_and_an_outage_is_tried_again(repository):
    lines, shown = run(repository)
    assert lines == WANTED and "Traceback" not in shown and shown.count("a line for the log") == 1
    assert not list((repository / ".prefect").glob("*.db"))


LINE_OF_A_THREAD = """
import threading
from prefect.logging import handlers
from flows import engine
from tasks.core.progress import say

handlers.emit_api_log = lambda log: print("sent:", log["message"])

def work():
    thread = threading.Thread(target=say, args=("a line",))
    thread.start()
    thread.join()

engine.run_flow("offline", work, "offline", {})
"""


def test_without_a_server_a_thread_that_refreshes_a_bar_starts_none(workspace):
    """It has none of the flow's settings, by which Prefect sends its lines nowhere."""
    lines, shown = run(workspace, LINE_OF_A_THREAD)
    assert "a line" in shown and not lines


@pytest.fixture
def shown(repository, server):
    """The flow runs of CODE on a server, name -> run."""
    lines, _ = run(repository, PREFECT_API_URL=server, DVC_EXP_NAME=f"exp-{os.getpid()}")
    assert lines == WANTED
    ended = {"state": {"type": {"any_": ["COMPLETED", "FAILED"]}}}  # not a deployment's runs of the next days
    runs = ask(server, "flow_runs/filter", sort="START_TIME_DESC", limit=2, flow_runs=ended)
    return {run["name"]: run for run in runs}


def logs(server, run):
    """What its Logs tab shows; it is sent in the background."""
    of = {"flow_run_id": {"any_": [run["id"]]}}
    deadline = time.monotonic() + 30
    while not any("Finished in state" in each["message"] and not each["task_run_id"] for each in found(server, of)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return [each["message"] for each in found(server, of)]


def found(server, of):
    return ask(server, "logs/filter", logs=of, sort="TIMESTAMP_ASC", limit=200)


def test_the_pages_say_what_ran_with_what_and_how_it_went(shown, server):
    """Name, tags, changed parameters, task names, log and table of one run: one run of the code for all of them."""
    flow_run = shown["acquire synthetic 2 parts"]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert sorted(flow_run["tags"]) == sorted(["synthetic", f"commit {commit}", f"exp exp-{os.getpid()}"])
    assert flow_run["parameters"] == {"parameters": {"train.lr": 0.002, "faces.min_frames": 13}}
    of = {"id": {"any_": [flow_run["id"]]}}
    deadline, tasks = time.monotonic() + 30, []
    while sum(task["state_type"] == "COMPLETED" for task in tasks) < 2:  # sent as events
        assert time.monotonic() < deadline, tasks
        tasks = ask(server, "task_runs/filter", flow_runs=of)
        time.sleep(0.2)
    assert {task["name"]: task["run_count"] for task in tasks} == {"fetch part1": 1, "fetch part2": 3}
    assert not any(task["tags"] for task in tasks)
    lines = logs(server, flow_run)
    assert "a line for the log" in lines and "slow {server}" in lines
    assert not any(line.startswith("Finished in state Completed") for line in lines[:-1])
    assert any("Retry 2/2" in line and "the network is away" in line for line in lines)
    [artifact] = ask(server, "artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run["id"]]}})
    assert artifact["key"] == "acquire-refusals" and artifact["type"] == "markdown"
    assert "| no_face | the detector found a face in too few frames | 2 |" in artifact["data"]


def test_what_a_user_can_fix_is_a_line_of_the_log_without_a_traceback(shown, server):
    refused = shown["refusing"]
    assert refused["state_type"] == "FAILED" and refused["state"]["message"] == "refused for a reason"
    text = "\n".join(logs(server, refused))
    assert "refused for a reason" in text and "Traceback" not in text and "NoneType: None" not in text
    assert "Retry" not in text


@pytest.mark.slow  # DVC has to have begun by then, on a busy machine too
def test_a_reproduction_that_takes_too_long_is_asked_to_stop_with_all_that_it_started(workspace):
    git("init", "-q")
    asked = "lambda *_: (print('asked', flush=True), sys.exit(75))"
    stage = f"import signal, sys, time\nsignal.signal(signal.SIGTERM, {asked})\nopen('started', 'w')\ntime.sleep(300)\n"
    (workspace / "slow.py").write_text(stage)
    (workspace / "dvc.yaml").write_text(json.dumps({"stages": {"slow": {"cmd": f"{sys.executable} slow.py > out"}}}))
    code = (
        "from flows import engine\nfrom tasks.core import programs\n"
        "def work():\n    engine.run_alone('reproduce', lambda: programs.dvc('repro'), timeout_s=20)\n"
        "try:\n    engine.run_flow('retrain', work, 'retrain', {})\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    lines, _ = run(workspace, code)
    assert lines[-1].startswith("UserError reproduce did not end within 20 s and was asked to stop")
    assert (workspace / "started").exists() and (workspace / "out").read_text() == "asked\n"


def test_a_failed_retraining_tells_whoever_the_parameters_name_in_a_line(workspace):
    """It fails in its first step, for want of a registry."""
    (workspace / "tell.py").write_text("import sys\nopen('told', 'w').write('\\n'.join(sys.argv[1:]))\n")
    notify = [sys.executable, "tell.py", "lipgan:"]
    (workspace / "params.yaml").write_text(params_text(TINY | {"retrain.notify": notify}))
    environment = variables(workspace, PYTHONPATH=str(ROOT), LIPGAN_CACHE=str(workspace / ".cache"))
    done = subprocess.run([sys.executable, "-m", "flows", "retrain"], capture_output=True, text=True, env=environment)
    first, line = (workspace / "told").read_text().splitlines()
    assert done.returncode == 2 and first == "lipgan:" and line.startswith("retrain failed: LIPGAN_TRACKING is"), (
        done.stderr
    )
    assert f"error: {line.removeprefix('retrain failed: ')}" in done.stderr


@pytest.mark.slow
def test_a_server_that_goes_away_is_one_line(workspace):
    with prefect_server.running(workspace) as address:
        code = (
            "import time\nfrom flows import engine\nfrom tasks.core.errors import UserError\n"
            "def work():\n    print('begun', flush=True)\n    input()\n"
            "try:\n    engine.run_flow('waiting', work, 'waiting', {})\n"
            "except UserError as error:\n    print(error)\n"
        )
        environment = variables(workspace, PYTHONPATH=str(ROOT), PREFECT_API_URL=address)
        environment |= {"PREFECT_CLIENT_MAX_RETRIES": "0"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        flow = subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes)
        assert flow.stdout.readline() == "begun\n"
    out, errors = flow.communicate("go on\n", timeout=120)
    assert flow.returncode == 0 and "Traceback" not in errors, errors
    assert out.startswith(f"PREFECT_API_URL: {address} answers no more") and out.count("\n") == 1


@pytest.mark.slow
def test_a_worker_runs_what_deploy_gave_to_its_pool(workspace, server):
    environment = variables(workspace, PYTHONPATH=str(ROOT), PREFECT_API_URL=server)
    pool = f"pool-{os.getpid()}"
    deploy = [sys.executable, "-m", "flows", "deploy", "--pool", pool, "--cron", "0 2 * * *"]
    for _ in range(2):  # again, as after a change of the time
        done = subprocess.run(deploy, capture_output=True, text=True, env=environment)
        assert done.returncode == 0 and f"prefect worker start --pool {pool}" in done.stderr, done.stderr
    [deployment] = ask(server, "deployments/filter", work_pools={"name": {"any_": [pool]}})
    flow_run = ask(server, f"deployments/{deployment['id']}/create_flow_run")
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--run-once"]
    subprocess.run(worker, capture_output=True, env=environment, timeout=120, check=True, cwd="/")
    of = {"id": {"any_": [flow_run["id"]]}}
    [ran] = ask(server, "flow_runs/filter", flow_runs=of)
    assert ran["state_type"] == "FAILED" and ran["state"]["message"].startswith("LIPGAN_TRACKING is"), ran["state"]
    assert ran["name"] == "retrain synthetic"
