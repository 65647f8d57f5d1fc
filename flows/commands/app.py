"""`app`: web UI: dub in a browser."""

import argparse
import math
from typing import Any

from flows.commands import BACKEND, add_generator, command


def add(commands: Any) -> None:
    app = command(
        commands,
        "app",
        "web UI: dub, or go live, in a browser",
        run,
        what="Serve a web page that takes a video or picture and a sound or text, and returns the dubbed video. One "
        "job runs at a time. Uploads and outputs lie in a temporary folder and are deleted after --keep seconds, and "
        "when the app ends (Ctrl-C).",
        example="lipgan app --port 7860",
    )
    app.add_argument("--port", type=int, default=7860, help="default: %(default)s")
    app.add_argument(
        "--host", default="127.0.0.1",
        help="default: %(default)s, this machine only; anyone who can reach another address can use the page",
    )  # fmt: skip
    app.add_argument("--max-mb", type=int, default=200, help="largest file; default: %(default)s")
    app.add_argument(
        "--max-seconds", type=float, default=120, help="longest video or sound in seconds; default: %(default)s"
    )
    app.add_argument("--max-work", type=float, default=1800, help="seconds a job may take; default: %(default)s")
    app.add_argument("--keep", type=float, default=3600, help="seconds files are kept; default: %(default)s")
    add_generator(app.add_argument_group("what the page begins with"))
    app.add_argument("--backend", help=BACKEND)


def run(args: argparse.Namespace) -> None:
    from flows import preflight
    from tasks.core import preflight as checks

    demand_limits(args)

    preflight.run([checks.temporary_folder()], signs=True, needs_bytes=args.max_mb << 21, what="what visitors send")
    from tasks.core import paths
    from tasks.core.progress import say
    from tasks.serving import choices, server
    from tasks.serving.job_queue import JobQueue
    from tasks.serving.uploads import Limits

    limits = Limits(upload_mb=args.max_mb, media_s=args.max_seconds, work_s=args.max_work, keep_s=args.keep)
    demo = {paths.DEMO_FACE.name: paths.DEMO_FACE} if paths.DEMO_FACE.is_file() else {}
    defaults = choices.defaults(args.generator, args.strength, args.backend)
    with JobQueue(limits, demo, defaults) as queue:
        say(f"app: http://{args.host}:{args.port}  (Ctrl-C ends it)")
        server.serve(queue, args.host, args.port)


def demand_limits(args: argparse.Namespace) -> None:
    """Errors: UserError for a limit under which nothing can be sent, made or kept"""
    from tasks.core.errors import UserError

    for name in ("max_mb", "max_seconds", "max_work", "keep"):
        if not 0 < (value := getattr(args, name)) < math.inf:
            raise UserError(f"--{name.replace('_', '-')} must be a number above 0, got {value}")
