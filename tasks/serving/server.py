"""The app page over HTTP: one page, files in, jobs, results. No answer holds a path of this machine.

Changes are asked for by PUT, DELETE and JSON, which a browser sends from no other site's page without leave, and a
request by another host's name is refused: a page on the web cannot use an app on a visitor's own machine.
"""

import base64
import contextlib
import hashlib
import json
import re
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.media import decode
from tasks.provenance import c2pa_mark
from tasks.serving import choices, live_sessions, messages
from tasks.serving.job_queue import Desk, Job
from tasks.serving.uploads import KINDS, without_places

PAGES = {"/": "page.html", "/live": "live.html"}
PARTS = re.compile(r"(?<=>)(page\.css|shared\.js)(?=<)")  # files that stand in both pages
OWN_HOSTS = ("127.0.0.1", "localhost")
GONE = JSONResponse({"error": "this job is not here any more"}, 404)


def application(desk: Desk, hosts: tuple[str, ...] = OWN_HOSTS) -> FastAPI:
    """The routes; `hosts`: names it may be called by, "*" for any."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    known = choices.checkpoints

    @app.exception_handler(UserError)
    def refused(request: Request, error: UserError) -> Response:
        return JSONResponse({"error": without_places(str(error))}, 422)

    for address, name in PAGES.items():
        app.add_api_route(address, partial(shown, whole(name)), response_class=HTMLResponse)

    @app.get("/choices")
    def offered() -> dict[str, Any]:
        limits = desk.limits
        return {
            "checkpoints": {name: about for name, (_, about) in known().items()},
            "voices": choices.VOICES,
            "expert": paths.EXPERT.is_file(),
            "live": {"missing": live_sessions.missing(), "faces": list(desk.faces), "most_s": limits.live_s},
            "limits": {"upload_mb": limits.upload_mb, "media_s": limits.media_s, "keep_s": limits.keep_s},
        }

    @app.put("/files/{kind}/{name}")
    async def hand_in(kind: str, name: str, request: Request) -> Response:
        if kind not in KINDS:
            return JSONResponse({"error": f"wanted one of {', '.join(KINDS)}"}, 404)
        path = await run_in_threadpool(desk.room, name)
        try:
            await receive(request, path, desk.limits.upload_bytes)
        except (UserError, ClientDisconnect):
            desk.drop(path)
            raise
        file = await run_in_threadpool(desk.take, path, kind)
        return JSONResponse({"file": file, "seconds": round(desk.uploads[file].duration_s, 2)})

    @app.post("/jobs")
    async def begin(request: Request) -> dict[str, str]:
        asked = await words(request, "a job is asked for in words: face, sound or text, checkpoint, speaker")
        checkpoint = await run_in_threadpool(offered_checkpoint, asked)
        if (speaker := asked.get("speaker")) and not re.fullmatch(r"\d+|[\d.]+,[\d.]+@[\d.]+", speaker):
            raise UserError("the speaker is a face's number, or a point in the picture")
        return {"job": await run_in_threadpool(desk.order, asked, checkpoint)}

    def offered_checkpoint(asked: dict[str, Any]) -> str:
        """What the page's name of it stands for."""
        offered = known()
        if not offered:
            raise UserError("there is no checkpoint here yet; make one with `dvc repro`")
        checkpoint = asked.get("checkpoint") or next(iter(offered))
        if checkpoint not in offered:
            raise UserError("there is no such checkpoint here; load the page again")
        return offered[checkpoint][0]

    @app.get("/live/faces/{name}")
    def offered_face(name: str) -> Response:
        if name not in desk.faces:
            return JSONResponse({"error": "there is no such face here"}, 404)
        _, png = cv2.imencode(".png", cv2.cvtColor(decode.read_image(desk.faces[name]), cv2.COLOR_RGB2BGR))
        return Response(png.tobytes(), media_type="image/png")

    @app.post("/live/sessions")
    async def go_live(request: Request) -> dict[str, str]:
        asked = await words(request, "a session is asked for in words: face or offered, checkpoint, sdp")
        picture = desk.faces.get(asked.get("offered") or "") or desk.upload(asked.get("face"), "face").path
        if not (offer := asked.get("sdp")):
            raise UserError("a session needs the browser's half of the handshake")
        order = messages.Order(
            picture=picture, checkpoint=await run_in_threadpool(offered_checkpoint, asked),
            label=asked.get("label") or None, offer=offer, most_s=desk.limits.live_s, backend=desk.backend,
        )  # fmt: skip
        name, answer = await run_in_threadpool(desk.booth.open, order)
        return {"session": name, "sdp": answer}

    @app.delete("/live/sessions/{name}")
    def leave(name: str) -> dict[str, bool]:
        return {"ended": desk.booth.close(name)}

    @app.get("/jobs/{name}")
    def state(name: str) -> Response:
        return JSONResponse(told(desk, job)) if (job := desk.jobs.get(name)) else GONE

    @app.delete("/jobs/{name}")
    def stop(name: str) -> Response:
        if not (job := desk.jobs.get(name)):
            return GONE
        job.unwanted = True
        return JSONResponse(told(desk, job))

    @app.get("/jobs/{name}/video")
    def video(name: str) -> Response:
        job = desk.jobs.get(name)
        return FileResponse(job.order.out, media_type="video/mp4") if job and job.state == "done" else GONE

    @app.get("/jobs/{name}/about")
    def about(name: str) -> Response:
        """The sidecar, and what the video says of itself: read from its bytes, as anyone could."""
        job = desk.jobs.get(name)
        if not job or job.state != "done":
            return GONE
        sidecar = json.loads(job.order.out.with_suffix(".json").read_text())
        return JSONResponse({"sidecar": sidecar, "mark": c2pa_mark.as_dict(c2pa_mark.read(job.order.out))})

    return app


def whole(name: str) -> str:
    """A page with the parts that it shares with the other."""
    folder = Path(__file__).parent
    return PARTS.sub(lambda part: "\n" + (folder / part[1]).read_text(), (folder / name).read_text())


def shown(page: str) -> Response:
    return HTMLResponse(
        page, headers={"Content-Security-Policy": content_policy(page), "Referrer-Policy": "no-referrer"}
    )


async def words(request: Request, wanted: str) -> dict[str, Any]:
    """What is asked for.  Errors: UserError where it is no JSON of words."""
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise UserError(wanted)
    try:
        asked = json.loads(await request.body())
    except ValueError as error:
        raise UserError(wanted) from error
    if not isinstance(asked, dict) or not all(v is None or isinstance(v, str) for v in asked.values()):
        raise UserError(wanted)
    return asked


async def receive(request: Request, path: Path, max_bytes: int) -> None:
    """The body into a file.  Errors: UserError where it is longer, or empty."""
    num_bytes = 0
    with path.open("wb") as file:
        async for block in request.stream():
            num_bytes += len(block)
            if num_bytes > max_bytes:
                raise UserError(f"{path.name} is too large; at most {max_bytes >> 20} MB are taken here")
            file.write(block)
    if not num_bytes:
        raise UserError(f"{path.name} is empty")


def told(desk: Desk, job: Job) -> dict[str, Any]:
    return {
        "state": job.state, "what": job.what, "done": job.num_done, "total": job.num_total, "error": job.error,
        "ahead": desk.ahead_of(job) if job.state == "waiting" else 0, "name": job.order.out.name,
    }  # fmt: skip


def content_policy(page: str) -> str:
    """Nothing is loaded from anywhere else, and no script runs but the page's own."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def serve(desk: Desk, host: str, port: int) -> None:
    """Until a signal ends it.  Errors: UserError where the port is taken."""
    hosts = OWN_HOSTS if host in OWN_HOSTS else ("*",)
    config = uvicorn.Config(
        application(desk, hosts), host=host, port=port, log_level="warning", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    # uvicorn raises a signal again when it has closed: it must not end us before the desk is cleared
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        listening = config.bind_socket()
    except SystemExit as error:  # uvicorn's way to say that it cannot
        raise UserError(f"port {port} of {host} cannot be used; give another by --port") from error
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
