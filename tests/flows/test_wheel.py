"""The built wheel in an environment of its own: it dubs, lays out a project in an empty folder, and runs its stages."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig

import pytest
from conftest import ROOT, TINY, params_text

from tasks.core import paths
from tasks.features import mesh_model
from tasks.storage import index, shards

pytestmark = pytest.mark.skipif(not mesh_model.path().is_file(), reason=f"no model: `{mesh_model.COMMAND}`")
BUILT_FROM = (
    "flows", "tasks", "model", "released", "pyproject.toml", "setup.py", "MANIFEST.in", "LICENSE", "README.md",
    *(ROOT / "MANIFEST.in").read_text().split()[1:],
)  # fmt: skip
OURS = ("LIPGAN_", "PREFECT_", "MLFLOW_", "PYTHON", "VIRTUAL_ENV")


def pip(*words):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def lipgan(tmp_path_factory):
    """The command of an environment with the wheel and, from the tests' environment, the libraries alone."""
    folder = tmp_path_factory.mktemp("wheel")
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *BUILT_FROM],
                           cwd=ROOT, check=True, capture_output=True, text=True).stdout  # fmt: skip
    for name in filter(None, names.split("\0")):
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(folder / "source"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    [packages] = (folder / "env/lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    [wheel] = folder.glob("*.whl")
    pip("--python", str(folder / "env/bin/python"), "install", "-q", "--no-deps", str(wheel))
    return folder / "env/bin/lipgan"


def call(command, folder):
    own = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    own |= {"LIPGAN_TRACKING": "off", "LIPGAN_CONFIG": os.environ["LIPGAN_CONFIG"], "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(word) for word in command], cwd=folder, env=own, capture_output=True, text=True, timeout=300
    )


def test_the_wheel_dubs_with_the_released_weights_in_an_empty_folder(lipgan, tiny_folder, tmp_path):
    row = index.kept(index.read(tiny_folder / paths.CLIPS), "test")[0]
    members = shards.read(tiny_folder / paths.RAW / row["shard"], row["offset"], row["size"])
    (tmp_path / "face.mp4").write_bytes(members["mp4"])
    done = call([lipgan, "dub", "--face", "face.mp4", "--audio", "face.mp4", "--out", "dubbed.mp4"], tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    about = json.loads((tmp_path / "dubbed.json").read_text())
    assert about["generator"] == "mesh" and (tmp_path / "dubbed.mp4").stat().st_size > 10_000


def test_an_empty_folder_becomes_a_project_whose_first_stages_run_from_the_wheel(lipgan, tmp_path):
    pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed (extra synthetic)")
    laid_out = call([lipgan, "init"], tmp_path)
    assert laid_out.returncode == 0 and "init: dvc.yaml" in laid_out.stdout, laid_out.stderr
    (tmp_path / "params.yaml").write_text(params_text(TINY))
    python = lipgan.with_name("python")
    repro = [python, "-c", "from tasks.core import programs; programs.dvc('repro', 'preprocess')"]
    first = call(repro, tmp_path)
    assert first.returncode == 0, first.stderr[-3000:]
    assert re.findall(r"Running stage '(\w+)'", first.stdout) == ["acquire", "preprocess"]
    assert index.kept(index.read(tmp_path / paths.INDEX))
    assert not (tmp_path / "flows").exists() and str(ROOT) not in (tmp_path / "dvc.lock").read_text()
    code = json.loads((tmp_path / "code.json").read_text())
    (tmp_path / "code.json").write_text(json.dumps(code | {"preprocess": "of an older version"}))
    refused = call([lipgan, "preprocess"], tmp_path)
    assert refused.returncode == 2 and "run `lipgan init`, then `dvc repro`" in refused.stderr
    assert call([lipgan, "init"], tmp_path).stdout == "init: code.json\n"
    again = call(repro, tmp_path)
    assert "Running stage" not in again.stdout, again.stdout


def test_a_demo_without_params_in_a_folder_that_is_in_use_writes_nothing_there(lipgan, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    refused = call([lipgan, "demo"], tmp_path)
    assert refused.returncode == 2 and "or `lipgan init` in an empty folder" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
