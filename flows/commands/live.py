"""`live`: a picture or video speaks in real time."""

import argparse
from pathlib import Path
from typing import Any

from flows.commands import BACKEND, CHECKPOINT, LIBRARY, PERSON, add_generator, command


def add(commands: Any) -> None:
    live = command(
        commands,
        "live",
        "make a face speak in real time: microphone, pipe or file",
        run,
        what="Make a person speak in real time: audio in as it is spoken, frames out at 25 a second. Of a video the "
        "first 8 s are shown, forwards and backwards; with lipgan, its first frame. The audio is "
        "delayed to match. A frame that would be late is skipped and the one before it is shown longer; the audio is "
        "never cut or repeated. At the end the time per frame and the delay are printed.",
        example="lipgan live --face talk.mp4 --audio speech.wav --out out/live.mp4\n"
        "lipgan live --face portrait.png --serve\n"
        "arecord -q -t raw -f S16_LE -r 16000 | lipgan live --face portrait.png --audio - --out - | ffplay -",
    )
    live.add_argument("--face", required=True, help="video or picture of the person who speaks")
    live.add_argument("--audio", help="sound file; or - for standard input: 16 kHz, mono, 16-bit little-endian")
    live.add_argument("--out", help="mp4 to write; or - for Matroska on standard output")
    live.add_argument(
        "--serve", action="store_true", help="instead of --audio and --out: your microphone, in a browser (extra live)"
    )
    live.add_argument("--port", type=int, default=7860, help="for --serve; default: %(default)s")
    live.add_argument("--paced", action="store_true", help="read the sound file in real time")
    live.add_argument("--box", help="left,top,right,bottom of the face, if it is not found (a drawing)")
    add_generator(live)
    live.add_argument("--library", nargs="+", action="extend", metavar="VIDEO", help=LIBRARY)
    live.add_argument("--person", metavar="NAME", help=PERSON)
    live.add_argument("--backend", help=BACKEND)
    live.add_argument("--checkpoint", help=CHECKPOINT)


def run(args: argparse.Namespace) -> None:
    from tasks.core.errors import UserError
    from tasks.dubbing.options import Options
    from tasks.tracking import registry

    if not args.serve and not (args.audio and args.out):
        raise UserError("live needs --audio and --out, or --serve for a browser with a microphone")
    from flows import preflight
    from tasks.core import preflight as checks

    preflight.dub(checks.temporary_folder() / "live" if args.serve or args.out == "-" else Path(args.out), [])
    if args.serve:
        return serve(args)
    from tasks.live import file as live_file

    names = ("generator", "strength", "backend", "box", "person")
    options = Options.from_mapping(
        {name: getattr(args, name) for name in names} | {"library": tuple(args.library or ())}
    )
    checkpoint = args.checkpoint and registry.path_of(args.checkpoint)
    live_file.run(args.face, args.audio, args.out, checkpoint, args.paced, options)


def serve(args: argparse.Namespace) -> None:
    from tasks.core.errors import UserError
    from tasks.core.files import demand_file
    from tasks.core.progress import say
    from tasks.live import speakers
    from tasks.serving import choices, live_sessions, server
    from tasks.serving.job_queue import JobQueue

    if args.library or args.person:
        option = "--library" if args.library else "--person"
        raise UserError(f"{option} is not of --serve: the page has a field for it")
    if why := live_sessions.missing():
        raise UserError(why)
    face = demand_file(args.face)
    speakers.demand_usable(face)
    defaults = choices.defaults(args.generator, args.strength, args.backend)
    with JobQueue(faces={face.name: face}, options=defaults) as queue:
        say(f"live: http://127.0.0.1:{args.port}/live  (Ctrl-C ends it)")
        server.serve(queue, "127.0.0.1", args.port)
