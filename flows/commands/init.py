"""`init`: a project folder for the installed package."""

import argparse
from typing import Any

from flows.commands import command, show


def add(commands: Any) -> None:
    command(
        commands,
        "init",
        "lay out a project in this folder",
        run,
        what="Lay out a project in this folder for the installed package: params.yaml, dvc.yaml, settings of DVC and "
        "Prefect, a git repository. Files that are there stay. After an update of lipgan run it again: it renews "
        "code.json, so that `dvc repro` reruns the stages whose code changed.",
        example="lipgan init\ndvc repro",
    )


def run(args: argparse.Namespace) -> None:
    from tasks.provenance import project

    lines = project.lay_out()
    show("\n".join([f"init: {line}" for line in lines]) or "init: everything is there")
    fetch_mesh_model()


def fetch_mesh_model() -> None:
    """Where it cannot be had, the stages that need it name the command; the rest works."""
    from tasks.core.errors import UserError
    from tasks.core.progress import say
    from tasks.features import mesh_model

    try:
        mesh_model.fetch()
    except UserError as error:
        say(f"init: going on without the face mesh's model: {error}")
