"""`deps`: the code dependencies of the stages in dvc.yaml."""

import argparse
import sys
from typing import Any

from flows.commands import command


def add(commands: Any) -> None:
    deps = command(
        commands,
        "deps",
        "check the code dependencies in dvc.yaml, or write them",
        run,
        what="Compare the code that each stage of dvc.yaml depends on with what its flow imports. Exit status 1 where "
        "they differ.",
        example="python -m flows deps --write",
    )
    deps.add_argument("--write", action="store_true", help="write them into dvc.yaml")


def run(args: argparse.Namespace) -> int:
    from tasks.core.files import demand_file, write_atomic
    from tasks.provenance import stage_deps

    demand_file(stage_deps.DVC_YAML, "run this in the folder of the project")
    text = stage_deps.DVC_YAML.read_text()
    changes = stage_deps.changes(text)
    for line in changes:
        sys.stderr.write(f"{line}\n")
    if args.write:
        write_atomic(stage_deps.DVC_YAML, stage_deps.written(text))
        sys.stderr.write(f"{stage_deps.DVC_YAML}: {len(changes)} dependencies changed\n")
        return 0
    return 1 if changes else 0
