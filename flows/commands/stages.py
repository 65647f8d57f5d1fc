"""The stages of dvc.yaml, and all of them at once."""

import argparse
import importlib
from pathlib import Path
from typing import Any

from flows.commands import command, show
from tasks.core import paths

STAGES = {
    "acquire": "corpus -> data/raw, data/clips.parquet",
    "preprocess": "data/raw -> data/shards, data/index.parquet",
    "expert": "data/shards -> models/expert.safetensors",
    "motion": "data/shards -> models/motion.safetensors",
    "inside": "data/shards -> models/inside.safetensors",
    "train": "data/shards -> models/generator.safetensors",
    "evaluate": "models -> reports/",
}
EMPTY = {".git", ".venv", "venv"}  # a folder with nothing else is an empty one


def add(commands: Any) -> None:
    for name, what in STAGES.items():
        example = f"lipgan {name}\ndvc repro {name}     the same, only if something changed"
        stage = command(commands, name, what, run, example=example)
        stage.add_argument("--params", type=Path, default=paths.PARAMS, help="default: %(default)s")
        if name == "preprocess":
            stage.add_argument("--explain", metavar="KEY", help="only print what happens to this clip, and why")
        if name == "acquire":
            stage.add_argument(
                "--trust", metavar="NAME", nargs="+",
                help="only renew the record of trust (MD5SUMS) of these parts or lists of LRS2",
            )  # fmt: skip
    what = "init if the folder is empty, dvc repro, a dubbed clip"
    demo = command(commands, "demo", what, run, example="lipgan demo")
    demo.add_argument("--params", type=Path, default=paths.PARAMS, help="default: %(default)s")


def run(args: argparse.Namespace) -> None:
    from tasks.core import config
    from tasks.provenance import project

    if args.command == "demo" and {path.name for path in Path().iterdir()} <= EMPTY:
        from flows.commands import init

        init.run(args)
    p = config.load(args.params)
    if getattr(args, "explain", None):
        from tasks.preprocess import explain

        explain.run(p, args.explain)
        return
    if getattr(args, "trust", None):
        from tasks.acquire import lrs2_trust

        show(lrs2_trust.renew(p, args.trust))
        return
    from flows import preflight

    folder = Path(p.corpus.folder) if p.corpus.name == "folder" else None
    preflight.pipeline(folder) if args.command == "demo" else preflight.stage(args.command, folder, p.acquire.raw)
    if args.command != "demo":
        project.demand_current(args.command)
    importlib.import_module(f"flows.{args.command}").run(p)
