"""The command line: `python -m flows STAGE`. Exit 0: done; 1: a bug of ours, with its traceback; 2: yours to mend.

Heavy imports wait until the command is known to be right. Worker processes do not import this module.
"""

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tasks import config, paths
from tasks.stage import UserError

STAGES = {
    "acquire": "corpus -> data/raw, data/clips.parquet",
    "landmarks": "rendered heads -> models/landmarks.dat",
    "preprocess": "data/raw -> data/shards, data/index.parquet",
    "train": "data/shards -> models/generator.safetensors",
    "evaluate": "models -> reports/",
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m flows", description="Speech to lip-sync, stage by stage.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in STAGES.items():
        example = f"example:\n  python -m flows {name}\n  dvc repro {name}     the same, only if something changed"
        stage = commands.add_parser(name, help=what, description=what, epilog=example, formatter_class=Raw)
        stage.add_argument("--params", type=Path, default=paths.PARAMS, help="default: %(default)s")
    what = "the whole pipeline, then a dubbed clip: what `make demo` runs"
    demo = commands.add_parser(
        "demo", help=what, description=what, epilog="example:\n  python -m flows demo", formatter_class=Raw
    )
    demo.add_argument("--params", type=Path, default=paths.PARAMS, help="default: %(default)s")
    agree = commands.add_parser(
        "agree",
        help="record the agreement a corpus is held under: data/agreement.json",
        description="Record who signed the agreement with the BBC that LRS2 needs, and the hash of the signed paper.",
        epilog='example:\n  python -m flows agree --who "A. Person" --organisation "A University" --signed lrs2.pdf',
        formatter_class=Raw,
    )
    agree.add_argument("--who", required=True, help="who signed")
    agree.add_argument("--organisation", required=True, help="for which organisation")
    agree.add_argument("--signed", type=Path, required=True, help="the signed agreement; only its hash is recorded")
    agree.add_argument("--date", default=date.today().isoformat(), help="when it was signed; default: today")
    dub = commands.add_parser(
        "dub",
        help="a face and a sound -> a lip-synced mp4",
        description="Make the face of a video or picture say a sound.",
        epilog="example:\n  python -m flows dub --face talk.mp4 --audio speech.wav --out out/dubbed.mp4",
        formatter_class=Raw,
    )
    dub.add_argument("--face", required=True, help="video or picture with one face to be dubbed")
    dub.add_argument("--audio", required=True, help="sound, or a video whose sound is taken")
    dub.add_argument("--out", required=True, help="mp4 to write")
    dub.add_argument("--checkpoint", default=str(paths.GENERATOR), help="default: %(default)s")
    return top


class Raw(argparse.RawDescriptionHelpFormatter):
    """Help that keeps its line breaks."""


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # errors are told here, once: Prefect would show a traceback for a mistyped parameter too
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        if args.command == "agree":
            from tasks import agreement

            sys.stderr.write(agreement.write(args.who, args.organisation, args.signed, args.date) + "\n")
        elif args.command == "dub":
            from tasks import dub

            dub.run(args.face, args.audio, args.out, args.checkpoint)
        else:
            p = config.load(args.params)
            importlib.import_module(f"flows.{args.command}").run(p)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
