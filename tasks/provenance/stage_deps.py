"""The code that each stage of dvc.yaml depends on: the import closure of its flow.

`python -m flows deps --write` writes it and tests/test_dag.py checks it: a stage that lacks a dependency would not
rerun when that code changes, and a stage with one too many would rerun for nothing.
"""

import ast
import re
from pathlib import Path

DVC_YAML = Path("dvc.yaml")
ROOMS = ("flows", "tasks", "model")

# Modules that change no byte of a stage's outs, each with the reason. Neither they nor what only they import are
# dependencies: editing a progress bar must not retrain the GAN.
RESULT_NEUTRAL = {
    "flows/engine.py": "which Prefect task builds a unit; the bytes of a unit come from the unit alone",
    "flows/pools.py": "which process or cluster builds a unit",
    "flows/watch.py": "kills workers that hang",
    "tasks/core/memory.py": "how much memory is free, and the message if it runs out",
    "tasks/core/progress.py": "what the terminal shows",
    "tasks/core/servers.py": "whether a server answers, and the message if it does not",
    "tasks/core/stopping.py": "when a run stops; it resumes bit for bit",
    "tasks/tracking/jsonl.py": "what is logged to files instead of MLflow",
    "tasks/tracking/naming.py": "what is logged to MLflow",
    "tasks/tracking/pipeline.py": "what is logged to MLflow",
    "tasks/tracking/registry.py": "what is logged to MLflow",
    "tasks/tracking/served.py": "what a version's copy in MLflow holds",
    "tasks/tracking/runs.py": "what is logged to MLflow",
}


def imports(file: Path, root: Path) -> set[str]:
    """Files of this repository that a file imports, relative to `root`; not __init__ files, which contain no code."""
    names = set()
    for node in ast.walk(ast.parse((root / file).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    files = (name.replace(".", "/") + ".py" for name in names if name.split(".")[0] in ROOMS)
    return {name for name in files if (root / name).is_file()}


def closure(stage: str, root: Path = Path()) -> list[str]:
    """All files that the flow of a stage imports, directly or not, without RESULT_NEUTRAL; sorted."""
    seen, todo = set[str](), [f"flows/{stage}.py"]
    while todo:
        if (file := todo.pop()) not in seen and file not in RESULT_NEUTRAL:
            seen.add(file)
            todo += imports(Path(file), root)
    return sorted(seen)


def written(text: str, root: Path = Path()) -> str:
    """A dvc.yaml with the right code dependencies for every stage; all other lines stay as they are."""
    lines, stage, inside = [], "", False
    for line in text.splitlines():
        if match := re.fullmatch(r"  (\w+):", line):
            stage = match[1]
        if inside and not line.startswith("      - "):
            lines += [f"      - {file}" for file in closure(stage, root)]
            inside = False
        if inside and re.fullmatch(rf"      - (?:{'|'.join(ROOMS)})/\S+\.py", line):
            continue
        inside = inside or line == "    deps:"
        lines.append(line)
    return "\n".join(lines) + "\n"


def changes(text: str, root: Path = Path()) -> list[str]:
    """One line for each dependency that `text` lacks ("train: + model/gan.py") or should not have ("-")."""
    before, after = (set(_pairs(one)) for one in (text, written(text, root)))
    return sorted(
        [f"{stage}: + {file}" for stage, file in after - before]
        + [f"{stage}: - {file}" for stage, file in before - after]
    )


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs, stage = [], ""
    for line in text.splitlines():
        if match := re.fullmatch(r"  (\w+):", line):
            stage = match[1]
        if line.startswith("      - ") and line.endswith(".py"):
            pairs.append((stage, line.removeprefix("      - ")))
    return pairs
