"""`dub`: a face and a sound -> a lip-synced video."""

import argparse
from typing import Any

from flows.commands import command
from tasks import paths


def add(commands: Any) -> None:
    dub = command(
        commands,
        "dub",
        "a face and a sound -> a lip-synced mp4",
        run,
        what="Make the face of a video or picture say a sound.",
        example="python -m flows dub --face talk.mp4 --audio speech.wav --out out/dubbed.mp4",
    )
    dub.add_argument("--face", required=True, help="video or picture with one face to be dubbed")
    dub.add_argument("--audio", required=True, help="sound, or a video whose sound is taken")
    dub.add_argument("--out", required=True, help="mp4 to write")
    dub.add_argument(
        "--checkpoint", default=str(paths.GENERATOR), help="or models:/lipgan@champion; default: %(default)s"
    )


def run(args: argparse.Namespace) -> None:
    from tasks import dub, registry

    dub.run(args.face, args.audio, args.out, registry.path_of(args.checkpoint))
