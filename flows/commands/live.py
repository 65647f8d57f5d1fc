"""`live`: a picture speaks in real time."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from flows.commands import BACKEND, command
from tasks.core import paths


def add(commands: Any) -> None:
    live = command(
        commands,
        "live",
        "make a picture speak in real time: microphone, pipe or file",
        run,
        what="Make a picture speak in real time: audio in as it is spoken, frames out at 25 a second. The audio is "
        "delayed to match. A frame that would be late is skipped and the one before it is shown longer; the audio is "
        "never cut or repeated. At the end the time per frame and the delay are printed.",
        example="lipgan live --face portrait.png --audio speech.wav --out out/live.mp4\n"
        "lipgan live --face portrait.png --serve\n"
        "arecord -q -t raw -f S16_LE -r 16000 | lipgan live --face portrait.png --audio - --out - | ffplay -",
    )
    live.add_argument("--face", required=True, help="picture with the face that speaks")
    live.add_argument("--audio", help="sound file; or - for standard input: 16 kHz, mono, 16-bit little-endian")
    live.add_argument("--out", help="mp4 to write; or - for Matroska on standard output")
    live.add_argument(
        "--serve", action="store_true", help="instead of --audio and --out: your microphone, in a browser (extra live)"
    )
    live.add_argument("--port", type=int, default=7860, help="for --serve; default: %(default)s")
    live.add_argument("--paced", action="store_true", help="read the sound file in real time")
    live.add_argument("--box", help="left,top,right,bottom of the face, if it is not found (a drawing)")
    live.add_argument("--backend", help=BACKEND)
    live.add_argument(
        "--checkpoint", default=str(paths.GENERATOR), help="or models:/lipgan@champion; default: %(default)s"
    )


def run(args: argparse.Namespace) -> None:
    from tasks.core.errors import UserError
    from tasks.dubbing.options import read_box
    from tasks.tracking import registry

    if not args.serve and not (args.audio and args.out):
        raise UserError("live needs --audio and --out, or --serve for a browser with a microphone")
    from flows import preflight

    preflight.dub(Path(tempfile.gettempdir()) / "live" if args.serve or args.out == "-" else Path(args.out), [])
    if args.serve:
        return serve(args)
    from tasks.live import file as live_file

    checkpoint = registry.path_of(args.checkpoint)
    box = read_box(args.box) if args.box else None
    live_file.run(args.face, args.audio, args.out, checkpoint, args.paced, box, args.backend)


def serve(args: argparse.Namespace) -> None:
    from tasks.core.errors import UserError
    from tasks.core.progress import say
    from tasks.media import containers, decode
    from tasks.serving import choices, live_sessions, server
    from tasks.serving.job_queue import JobQueue

    if why := live_sessions.missing():
        raise UserError(why)
    face = Path(args.face)
    try:
        decode.read_image(face)
    except (OSError, containers.MediaError) as error:
        raise UserError(f"{face}: no picture can be read") from error
    with JobQueue(faces={face.name: face}, backend=choices.backend(args.backend)) as queue:
        say(f"live: http://127.0.0.1:{args.port}/live  (Ctrl-C ends it)")
        server.serve(queue, "127.0.0.1", args.port)
