"""`deps`: the code dependencies of the stages in dvc.yaml."""

import argparse
from typing import Any

from flows.commands import command, show


def add(commands: Any) -> None:
    deps = command(
        commands,
        "deps",
        "check or write the code dependencies in dvc.yaml",
        run,
        what="Compare the code that each stage of dvc.yaml depends on with what its flow imports. Exit status 1 where "
        "they differ.",
        example="lipgan deps --write",
    )
    deps.add_argument("--write", action="store_true", help="write them into dvc.yaml")


def run(args: argparse.Namespace) -> int:
    from tasks.core.files import demand_file, write_atomic
    from tasks.core.progress import say
    from tasks.provenance import stage_deps

    demand_file(stage_deps.DVC_YAML, "run this in the folder of the project")
    text = stage_deps.DVC_YAML.read_text()
    changes = stage_deps.changes(text)
    for line in changes:
        show(line)
    if args.write:
        write_atomic(stage_deps.DVC_YAML, stage_deps.written(text))
        say(f"{stage_deps.DVC_YAML}: {len(changes)} dependencies changed")
        return 0
    return 1 if changes else 0
