"""`app`: a page for people, in a browser."""

import argparse
from typing import Any

from flows.commands import BACKEND, command


def add(commands: Any) -> None:
    app = command(
        commands,
        "app",
        "a page for people: dub in a browser",
        run,
        what="Serve a page: a video or picture and a sound or text in, the dubbed video out, one job at a time. What "
        "is handed in and made lies in a temporary folder, and goes in time and when this ends (Ctrl-C).",
        example="python -m flows app --port 7860",
    )
    app.add_argument("--port", type=int, default=7860, help="default: %(default)s")
    app.add_argument(
        "--host", default="127.0.0.1",
        help="default: %(default)s, this machine alone; anyone who reaches another address may use the page",
    )  # fmt: skip
    app.add_argument("--max-mb", type=int, default=200, help="of one file; default: %(default)s")
    app.add_argument("--max-seconds", type=float, default=120, help="of one video or sound; default: %(default)s")
    app.add_argument("--max-work", type=float, default=1800, help="seconds of one job; default: %(default)s")
    app.add_argument("--keep", type=float, default=3600, help="seconds that files are kept; default: %(default)s")
    app.add_argument("--backend", help=BACKEND)


def run(args: argparse.Namespace) -> None:
    from tasks.core import paths
    from tasks.core.progress import say
    from tasks.serving import choices, server
    from tasks.serving.job_queue import JobQueue
    from tasks.serving.uploads import Limits

    limits = Limits(upload_mb=args.max_mb, media_s=args.max_seconds, work_s=args.max_work, keep_s=args.keep)
    demo = {paths.DEMO_FACE.name: paths.DEMO_FACE} if paths.DEMO_FACE.is_file() else {}
    with JobQueue(limits, demo, choices.backend(args.backend)) as queue:
        say(f"app: http://{args.host}:{args.port}  (Ctrl-C ends it)")
        server.serve(queue, args.host, args.port)
