"""The rules of docs/architecture.md, checked rather than remembered."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "model": {"tasks", "flows", "prefect", "mlflow", "dvc", "pyarrow", "webdataset", "cv2", "librosa", "av", "dlib"},
    "tasks": {"flows", "prefect", "dvc"},
}
ALONE = {
    "mlflow": "tasks/tracking/runs.py tasks/inference/served_model.py",
    "ai_edge_litert": "tasks/features/face_mesh.py",
    "subprocess": "tasks/core/programs.py",
    "av": "tasks/media/containers.py tasks/media/decode.py tasks/media/native_rate.py tasks/media/encode.py "
    "tasks/media/frame.py tasks/media/hdr.py tasks/media/planes.py tasks/media/segments.py tasks/media/shown.py "
    "tasks/media/stream_writer.py tasks/media/tempo.py tasks/media/tracks.py",
    "PIL": "tasks/media/stills.py",
    "pi_heif": "tasks/media/stills.py",
    "aiortc": "tasks/serving/examiner.py tasks/serving/rtc.py",
    "webdataset": "tasks/loading/streaming.py",
    "s3fs": "tasks/storage/object_store.py",
    "botocore": "tasks/storage/object_store.py",
}
# Which room of tasks/ may import which; all may import model/. What is not listed is forbidden.
DUBBING = {"compositor", "core", "features", "inference", "media", "persons", "provenance", "voices"}
ROOMS: dict[str, set[str]] = {
    "core": set(),
    "media": {"core"},
    "storage": {"core"},
    "provenance": {"core", "media"},
    "features": {"core", "media"},
    "synthetic": {"core", "media"},
    "compositor": {"core", "features"},
    "persons": {"compositor", "core", "features", "media", "provenance"},
    "adapt": {"acquire", "compositor", "core", "dubbing", "features", "inference", "media", "motion", "persons"}
    | {"provenance", "words"},
    "loading": {"core", "storage"},
    "acquire": {"core", "media", "provenance", "storage", "synthetic"},
    "lips": {"core", "features", "media", "synthetic"},
    "inside": {"compositor", "core", "features", "inference", "loading", "media", "motion", "tracking"},
    "words": {"core"},
    "lines": {"core", "media"},
    "voices": {"core", "media"},
    "motion": {"core", "features", "inference", "loading", "media", "storage", "synthetic", "tracking"},
    "preprocess": {"core", "features", "inference", "media", "storage"},
    "tracking": {"core", "provenance", "storage"},
    "inference": {"core", "features", "loading", "storage"},
    "expert": {"core", "inference", "loading", "storage", "tracking"},
    "train": {"core", "inference", "loading", "provenance", "tracking"},
    "evaluate": {"compositor", "core", "features", "inference", "loading", "media", "preprocess", "storage"}
    | {"tracking", "words"},
    "dubbing": {"lines", *DUBBING},
    "audit": {"core", "features", "preprocess", "provenance", "storage", "tracking"},
    "live": {"dubbing", *DUBBING},
    "retrain": {"core", "evaluate", "provenance", "storage", "tracking"},
    "withdrawal": {"acquire", "core", "expert", "inside", "motion", "persons", "provenance", "storage", "tracking"}
    | {"train"},
    "edit": {"acquire", "dubbing", "words", *DUBBING},
    "studies": {"core", "dubbing", "evaluate", "features", "inference", "loading", "media", "preprocess", "storage"}
    | {"tracking"},
    "serving": {"edit", "lines", "live", "dubbing", "tracking", *DUBBING},
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


def rooms_imported(path: Path) -> set[str]:
    """Rooms of tasks/ that a file imports from."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tasks":
            rooms |= {node.module.split(".")[1]} if "." in node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("tasks.")}
    return rooms


def test_every_room_of_tasks_is_in_the_table_and_says_what_it_is_for():
    rooms = {path.name for path in (ROOT / "tasks").iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(ROOMS)
    assert {path.name for path in (ROOT / "tasks").glob("*.py")} == {"__init__.py", "config.py"}  # the old name of one
    for room in rooms:
        assert ast.get_docstring(ast.parse((ROOT / "tasks" / room / "__init__.py").read_text())), room


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_the_rooms_it_may(room):
    for path in (ROOT / "tasks" / room).rglob("*.py"):
        assert rooms_imported(path) <= ROOMS[room] | {room}, name_of(path)


def test_the_table_of_rooms_has_no_circle():
    graphlib.TopologicalSorter(ROOMS).prepare()  # CycleError names it


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
