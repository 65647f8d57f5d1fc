"""The rules of README "Layout", checked rather than remembered."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "model": {"tasks", "flows", "prefect", "mlflow", "dvc", "pyarrow", "webdataset", "cv2", "librosa", "av", "dlib"},
    "tasks": {"flows", "prefect", "dvc"},
}
ALONE = {
    "mlflow": "tasks/tracking/runs.py",
    "subprocess": "tasks/core/programs.py",
    "av": "tasks/media/containers.py tasks/media/decode.py tasks/media/native_rate.py tasks/media/encode.py "
    "tasks/media/frame.py tasks/media/segments.py tasks/media/stream_writer.py",
    "aiortc": "tasks/serving/rtc.py",
    "s3fs": "tasks/storage/object_store.py",
    "botocore": "tasks/storage/object_store.py",
}
SOURCES = [p for room in ("model", "tasks", "flows") for p in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_inward(path):
    assert not imported(path) & FORBIDDEN.get(path.relative_to(ROOT).parts[0], set())


@pytest.mark.parametrize("library", ALONE)
def test_some_libraries_have_one_importer(library):
    users = {name_of(path) for path in SOURCES if library in imported(path)}
    assert users <= set(ALONE[library].split())


def test_model_needs_only_torch_and_numpy():
    import sys

    allowed = {"torch", "numpy", "model"} | set(sys.stdlib_module_names)
    for path in (ROOT / "model").rglob("*.py"):
        assert imported(path) <= allowed, path


def test_only_time_arithmetic_knows_the_numbers_of_time():
    """25 frames/s, 16 kHz and 640 samples are written in model/timing.py alone."""
    number = re.compile(r"\b(16_?000|640)\b")
    for path in SOURCES:
        if name_of(path) in ("model/timing.py", "tasks/synthetic/layout.py"):
            continue
        code = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        assert not [value for value in code if isinstance(value, int) and number.fullmatch(str(value))], path


def test_no_path_of_a_machine_is_written_anywhere():
    import subprocess

    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.split("\0"):
        path = ROOT / name
        if (
            name
            and path.is_file()
            and path.suffix in (".py", ".md", ".yaml", ".toml", ".lock", "")
            and "tests" not in name
        ):
            text = path.read_text(errors="ignore")
            assert "/home/" not in text and "/root/" not in text, name
