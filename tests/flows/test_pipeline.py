"""The pipeline as a person runs it: DVC, Prefect, processes, kill -9; the tiny corpus, in a copy of the project."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

import lrs2_archive
import lrs2_server
import pytest
from conftest import ROOT, TINY, params_text

from tasks.core import files

DVC = [sys.executable, "-m", "dvc"]
FLOW = [sys.executable, "-m", "flows"]
FOREIGN = ("LIPGAN_", "PREFECT_", "MLFLOW_TRACKING")  # of whoever runs the tests: not for the project under test
STAGES = ["acquire", "preprocess", "expert", "motion", "inside", "train", "evaluate"]


def variables(folder, **more):
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return own | {"LIPGAN_TRACKING": "off", "PREFECT_HOME": str(folder / ".prefect"), "OMP_NUM_THREADS": "1"} | more


def call(command, folder, environment, expect=0):
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, timeout=600, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == expect, done.stdout[-5000:]
    return done.stdout


def stages_run(output):
    return re.findall(r"Running stage '(\w+)'", output)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Prefect server, as `make server` starts it: stages that find one need not start their own."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(command, env=variables(folder), stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}/api"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1)
            break
        except OSError:
            assert running.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
    yield address
    os.killpg(running.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def project(tmp_path_factory, server):
    """A copy of the project with the tiny parameters, after one `dvc repro`."""
    folder = copy_project(tmp_path_factory.mktemp("project"), TINY)
    environment = variables(folder, PREFECT_API_URL=server)
    output = call([*DVC, "repro"], folder, environment)
    assert sorted(stages_run(output)) == sorted(STAGES)
    return folder, environment


def copy_project(folder, changes):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file() and not name.startswith(("reports/", "dvc.lock", "tests/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "params.yaml").write_text(params_text(changes))
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "t"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return folder


def set_params(folder, changes):
    (folder / "params.yaml").write_text(params_text(TINY | changes))


def hashes(folder, *places):
    files = sorted(f for place in places for f in (folder / place).rglob("*") if f.is_file() and f.name[0] != ".")
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def on_disk(*folders):
    """Bytes on disk of all files, each file once however many names it has."""
    stats = [f.lstat() for folder in folders for f in folder.rglob("*") if f.is_file()]
    return sum({of.st_ino: of.st_blocks * 512 for of in stats}.values())


def damaged(cache):
    """Objects of DVC's cache whose bytes are not those of their name: something was written through a link."""
    objects = [f for f in (cache / "files/md5").rglob("*") if f.is_file()]
    assert objects
    return [f for f in objects if files.md5_file(f) != (f.parent.name + f.name).removesuffix(".dir")]


@pytest.mark.slow
def test_data_units_and_dvcs_cache_hold_everything_once(project):
    folder, _ = project
    places = [folder / "data", folder / ".cache/units", folder / ".dvc/cache", folder / "models", folder / "reports"]
    outs = on_disk(folder / "data", folder / "models", folder / "reports")
    assert sum(on_disk(place) for place in places) > 2 * outs  # by name all is there twice, clips three times
    assert on_disk(*places) <= 1.1 * outs
    assert damaged(folder / ".dvc/cache") == []


@pytest.mark.slow
def test_a_second_repro_does_nothing_and_the_status_is_clean(project):
    folder, environment = project
    assert stages_run(call([*DVC, "repro"], folder, environment)) == []
    assert "Data and pipelines are up to date." in call([*DVC, "status"], folder, environment)
    assert (folder / "reports/report.html").is_file()


@pytest.mark.slow
def test_another_learning_rate_trains_and_evaluates_only(project):
    folder, environment = project
    set_params(folder, {"train.lr": 0.0005})
    output = call([*DVC, "repro"], folder, environment)
    assert stages_run(output) == ["train", "evaluate"]
    set_params(folder, {})
    back = call([*DVC, "repro"], folder, environment)
    assert "Running stage" not in back and "is cached - skipping run" in back


@pytest.mark.slow
def test_deleted_data_and_models_come_back_without_computing(project):
    folder, environment = project
    before = hashes(folder, "data", "models")
    shutil.rmtree(folder / "data/shards")
    shutil.rmtree(folder / "data/raw")
    for file in [*(folder / "data").glob("*.parquet"), *(folder / "models").iterdir()]:
        file.unlink()
    assert stages_run(call([*DVC, "repro"], folder, environment)) == []
    assert hashes(folder, "data", "models") == before


@pytest.mark.slow
def test_threads_and_processes_write_the_same_bytes(project):
    folder, environment = project
    before = hashes(folder, "data")
    shutil.rmtree(folder / ".cache/units")
    for stage in ("acquire", "preprocess"):
        output = call([*FLOW, stage], folder, environment | {"LIPGAN_RUNNER": "threads"})
        assert "kept 0" in output
    assert hashes(folder, "data") == before


@pytest.mark.slow
def test_killed_preprocessing_resumes_and_ends_with_the_same_bytes(project):
    folder, environment = project
    before = hashes(folder, "data")
    shutil.rmtree(folder / ".cache/units/preprocess")
    running = subprocess.Popen(
        [*FLOW, "preprocess"], cwd=folder, env=environment | {"LIPGAN_WORKERS": "1"}, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    done = folder / ".cache/units/preprocess"
    while running.poll() is None and not finished(done):
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)  # the parent alone: its workers must notice
    running.wait()
    deadline = time.monotonic() + 30
    while alive(running.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(running.pid), "a worker outlived its parent"
    ready = len(finished(done))
    output = call([*DVC, "repro", "-f", "-s", "preprocess"], folder, environment)
    assert re.search(rf"preprocess: ran {5 - ready}, kept {ready}", output), output
    assert ready >= 1 and hashes(folder, "data") == before


def finished(units):
    return [f for f in units.glob("*/*/rows.json") if not f.parent.name.startswith(".")]


def alive(session):
    """Processes of a killed command that still run."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(place)
    return found


@pytest.mark.slow
def test_one_more_clip_in_a_folder_rebuilds_one_shard(project, tmp_path):
    made, environment = project
    folder = copy_project(tmp_path, TINY | {"corpus.name": "folder", "corpus.num_shards": dict.fromkeys(SPLITS, 4)})
    environment = environment | {"PREFECT_HOME": str(folder / ".prefect")}
    videos = folder / "data/videos"
    contents = list(videos_of(made))
    for k in range(24):
        (videos / f"clip{k}.mp4").write_bytes(distinct(contents[k % len(contents)], k))
    for stage in ("acquire", "preprocess"):
        assert ", kept 0:" in call([*FLOW, stage], folder, environment)
    (videos / "one-more.mp4").write_bytes(distinct(contents[0], 99))
    for stage in ("acquire", "preprocess"):
        output = call([*FLOW, stage], folder, environment)
        ran, kept = map(int, re.search(rf"{stage}: ran (\d+), kept (\d+)", output).groups())
        assert ran == 1 and kept >= 6


SPLITS = ("train", "val", "test", "hard", "pretrain")


def videos_of(project):
    """The mp4s of the train, val and test shards."""
    for shard in sorted((project / "data/raw").glob("t*.tar")):
        with tarfile.open(shard) as tar:
            yield from (tar.extractfile(member).read() for member in tar if member.name.endswith(".mp4"))


def distinct(mp4, number):
    """The same video in other bytes: an mp4 atom that players pass over is added."""
    return mp4 + (12).to_bytes(4, "big") + b"free" + number.to_bytes(4, "big")


@pytest.mark.slow
def test_a_flow_runs_without_any_server(project):
    """Prefect starts a server of its own; a fastapi it cannot work with would break it here."""
    folder, environment = project
    alone = {name: value for name, value in environment.items() if name != "PREFECT_API_URL"}
    assert "preprocess: ran 0, kept" in call([*FLOW, "preprocess"], folder, alone)


def test_the_server_plans_the_nights_of_a_served_retraining(server, tmp_path):
    """Deployed and asked for through Prefect's own API; a SQLAlchemy it cannot work with would plan nothing."""
    environment = variables(tmp_path, PREFECT_API_URL=server)
    serving = subprocess.Popen(
        [*FLOW, "retrain", "--serve", "0 2 * * *"], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    planned, deadline = [], time.monotonic() + 60
    try:
        while len(planned) < 2 and time.monotonic() < deadline:
            assert serving.poll() is None, serving.stdout.read().decode()
            wanted = json.dumps({"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}).encode()
            request = urllib.request.Request(f"{server}/flow_runs/filter", wanted, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                planned = sorted(run["expected_start_time"] for run in json.load(answer))
            time.sleep(0.5)
    finally:
        os.killpg(serving.pid, signal.SIGTERM)
        serving.wait(30)
    assert len(planned) >= 2 and all("T02:00:00" in at for at in planned)


def test_a_bad_schedule_is_one_line(server, tmp_path):
    environment = variables(tmp_path, PREFECT_API_URL=server)
    message = call([*FLOW, "retrain", "--serve", "nightly"], ROOT, environment, expect=2)
    assert message == "error: --serve: 'nightly' is not a cron line; every night at two is '0 2 * * *'\n"


@pytest.mark.slow
def test_training_is_tracked_by_mlflow_and_linked_to_its_data(project):
    folder, environment = project
    set_params(folder, {"train.num_steps": 4, "train.val_every": 4})
    try:
        call([*FLOW, "train"], folder, environment | {"LIPGAN_TRACKING": "mlflow"})
    finally:
        set_params(folder, {})
    code = (
        "import mlflow; mlflow.set_tracking_uri('sqlite:///mlflow.db')\n"
        "found = mlflow.search_runs(search_all_experiments=True, output_format='list')\n"
        "[run] = [run for run in found if run.data.tags['stage'] == 'train']\n"
        "client = mlflow.MlflowClient(); curve = client.get_metric_history(run.info.run_id, 'train/mouth_l1')\n"
        "print([m.step for m in curve], run.data.tags['data.index.md5'], run.data.params['train.num_steps'])\n"
        "print([f.path for f in client.list_artifacts(run.info.run_id, 'images')], run.inputs.dataset_inputs)"
    )
    seen = call([sys.executable, "-W", "ignore", "-c", code], folder, environment)
    assert damaged(folder / ".dvc/cache") == []  # though the checkpoint that was replaced is a link into it
    digest = hashlib.md5((folder / "data/index.parquet").read_bytes()).hexdigest()
    assert f"[2, 4] {digest} 4" in seen and ".png" in seen and f"digest='{digest}'" in seen


@pytest.mark.slow
def test_a_bad_parameter_stops_everything_before_a_stage_does_anything(project):
    folder, environment = project
    set_params(folder, {"corpus.val_share": 0.2, "train.lr": -1.0})
    before = hashes(folder, "data")
    try:
        assert "error: params.yaml: train.lr must be from 0 to 1, got -1.0" in call(
            [*FLOW, "acquire"], folder, environment, expect=2
        )
        output = call([*DVC, "repro"], folder, environment, expect=255)
    finally:
        set_params(folder, {})
    assert "train.lr must be from 0 to 1" in output and stages_run(output) == ["acquire"]
    assert "Traceback" not in output
    assert stages_run(call([*DVC, "repro", "preprocess"], folder, environment)) == []  # nothing was lost
    assert hashes(folder, "data") == before


@pytest.mark.slow
def test_lrs2_is_fetched_and_packed_by_dvc_and_prefect_and_no_secret_is_left(tmp_path, project):
    environment = project[1] | {
        "PREFECT_HOME": str(tmp_path / ".prefect"),
        "LIPGAN_LRS2_USER": lrs2_server.USER,
        "LIPGAN_LRS2_PASSWORD": lrs2_server.PASSWORD,
        "PREFECT_LOGGING_LEVEL": "DEBUG",
    }
    archive = lrs2_archive.small()
    with lrs2_server.serving(archive.served()) as fake:
        changes = {"corpus.lrs2.source": "https", "corpus.lrs2.host": fake.host, "acquire.backoff_s": 0.0}
        folder = copy_project(tmp_path, lrs2_archive.LRS2 | changes)
        lrs2_archive.write_sums(folder / "lrs2", archive)
        refused = call([*FLOW, "acquire"], folder, environment, expect=2)
        assert "error: " in refused and "python -m flows agree" in refused
        (folder / "signed.pdf").write_bytes(b"%PDF signed")
        agree = ["agree", "--who", "A. Person", "--organisation", "A University", "--signed", "signed.pdf"]
        call([*FLOW, *agree], folder, environment)
        fake.faults.extend([("reset", 0.5), ("503", 0.0), ("reset", 0.2)])
        output = call([*DVC, "repro", "acquire"], folder, environment)
        assert stages_run(call([*DVC, "repro", "acquire"], folder, environment)) == []
    assert "corpus lrs2 in" in output and len(list((folder / "data/raw").iterdir())) >= 4
    texts = {"output": refused + output}
    texts |= {str(f): f.read_bytes().decode("latin-1") for f in folder.rglob("*") if f.is_file()}
    for secret in (lrs2_server.USER, lrs2_server.PASSWORD):
        assert not [where for where, text in texts.items() if secret in text], secret
