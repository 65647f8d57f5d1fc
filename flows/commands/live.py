"""`live`: a picture speaks while someone speaks."""

import argparse
from typing import Any

from flows.commands import command
from tasks import paths


def add(commands: Any) -> None:
    live = command(
        commands,
        "live",
        "a picture speaks while someone speaks: sound in as it comes, frames out at 25 a second",
        run,
        what="Make a picture speak live. The sound is delayed to match; a frame that would be late is not made, the "
        "one before stays; the sound is never cut or repeated. At the end it tells the work and the delay.",
        example="python -m flows live --face portrait.png --audio speech.wav --out out/live.mp4\n"
        "arecord -q -t raw -f S16_LE -r 16000 | python -m flows live --face portrait.png --audio - --out - | ffplay -",
    )
    live.add_argument("--face", required=True, help="picture with the face that speaks")
    live.add_argument(
        "--audio", required=True, help="sound file; or - for standard input: 16 kHz, mono, 16 bits, little end first"
    )
    live.add_argument("--out", required=True, help="mp4 to write; or - for Matroska on standard output")
    live.add_argument("--paced", action="store_true", help="read the sound file at the speed at which it is spoken")
    live.add_argument("--box", help="left,top,right,bottom of the face, where it is not found (a drawing)")
    live.add_argument(
        "--checkpoint", default=str(paths.GENERATOR), help="or models:/lipgan@champion; default: %(default)s"
    )


def run(args: argparse.Namespace) -> None:
    from flows.commands.dub import box
    from tasks import live_file, registry

    live_file.run(args.face, args.audio, args.out, registry.path_of(args.checkpoint), args.paced, box(args.box))
