"""The app over HTTP: files in, jobs, results, live sessions. No answer holds a path of this machine.

Changes need PUT, DELETE or a JSON body, which a browser does not send to another site without asking it first (CORS).
"""

import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.html import encoded
from tasks.lines import speech_filter
from tasks.media import decode
from tasks.provenance import c2pa_mark
from tasks.serving import checked, choices, live_sessions, messages
from tasks.serving.job_queue import Job, JobQueue
from tasks.serving.store import Full
from tasks.serving.uploads import KINDS

GONE = JSONResponse({"error": "this job is not here any more"}, 404)

router = APIRouter()


def queue_of(request: Request) -> JobQueue:
    return request.app.state.queue


Queue = Annotated[JobQueue, Depends(queue_of)]


@router.get("/choices")
def get_choices(queue: Queue) -> dict[str, Any]:
    limits = queue.limits
    return {
        "generators": choices.generators(queue.options),
        "strength": queue.options.strength,
        "checkpoints": {name: about for name, (_, about) in choices.checkpoints().items()},
        "voices": choices.voices(),
        "background": speech_filter.installed(),
        "persons": choices.persons(),
        "expert": paths.EXPERT.is_file(),
        "live": {"missing": live_sessions.missing(), "faces": list(queue.faces), "most_s": limits.live_s},
        "limits": {"upload_mb": limits.upload_mb, "media_s": limits.media_s, "keep_s": limits.keep_s},
    }


@router.put("/files/{kind}/{name}")
async def put_file(kind: str, name: str, request: Request, queue: Queue) -> Response:
    if kind not in KINDS:
        return JSONResponse({"error": f"wanted one of {', '.join(KINDS)}"}, 404)
    path = await run_in_threadpool(queue.new_path, name)
    try:
        await receive(request, path, queue)
    except (UserError, ClientDisconnect):
        queue.drop(path)
        raise
    file = await run_in_threadpool(queue.add_upload, path, kind)
    return JSONResponse({"file": file, "seconds": round(queue.uploads[file].duration_s, 2)})


@router.post("/jobs")
async def post_job(request: Request, queue: Queue) -> dict[str, str]:
    fields = await checked.json_fields(request, checked.JOB, "a job")
    return {"job": await run_in_threadpool(queue.add_job, fields)}


@router.get("/jobs/{name}")
def get_job(name: str, queue: Queue) -> Response:
    return JSONResponse(state_of(queue, job)) if (job := queue.jobs.get(name)) else GONE


@router.delete("/jobs/{name}")
def delete_job(name: str, queue: Queue) -> Response:
    if not (job := queue.jobs.get(name)):
        return GONE
    job.cancelled = True
    return JSONResponse(state_of(queue, job))


@router.get("/jobs/{name}/video")
def get_video(name: str, queue: Queue) -> Response:
    job = queue.jobs.get(name)
    return FileResponse(job.order.out, media_type="video/mp4") if job and job.state == "done" else GONE


@router.get("/jobs/{name}/about")
def get_about(name: str, queue: Queue) -> Response:
    """The sidecar, and the video's own mark, read from its bytes, as anyone could."""
    job = queue.jobs.get(name)
    if not job or job.state != "done":
        return GONE
    sidecar = json.loads(job.order.out.with_suffix(".json").read_text())
    return JSONResponse({"sidecar": sidecar, "mark": c2pa_mark.as_dict(c2pa_mark.read(job.order.out))})


@router.get("/live/faces/{name}")
def get_live_face(name: str, queue: Queue) -> Response:
    if name not in queue.faces:
        return JSONResponse({"error": "there is no such face here"}, 404)
    png = encoded(decode.read_image(queue.faces[name]), ".png")
    return Response(png, media_type="image/png")


@router.post("/live/sessions")
async def post_live_session(request: Request, queue: Queue) -> dict[str, str]:
    fields = await checked.json_fields(request, checked.SESSION, "a session")
    face = queue.faces.get(fields.get("offered") or "") or queue.upload(fields.get("face"), "face").path
    if not (offer := fields.get("sdp")):
        raise UserError("a session needs the browser's half of the handshake")
    options, checkpoint = await run_in_threadpool(queue.options_of, fields)
    if not live_sessions.missing():
        await run_in_threadpool(queue.examiner.check_offer, offer)  # before it takes the live place
    order = messages.LiveOrder(
        face=face, checkpoint=checkpoint, offer=offer, most_s=queue.limits.live_s, options=options
    )
    name, answer = await run_in_threadpool(queue.live.open, order)
    return {"session": name, "sdp": answer}


@router.delete("/live/sessions/{name}")
def delete_live_session(name: str, queue: Queue) -> dict[str, bool]:
    return {"ended": queue.live.close(name)}


def state_of(queue: JobQueue, job: Job) -> dict[str, Any]:
    return {
        "state": job.state, "what": job.what, "done": job.num_done, "total": job.num_total, "error": job.error,
        "ahead": queue.ahead_of(job) if job.state == "waiting" else 0, "name": job.order.out.name,
        "generator": job.order.options.generator,
    }  # fmt: skip


async def receive(request: Request, path: Path, queue: JobQueue) -> None:
    """The body into a file.  Errors: UserError where it is longer than an upload may be, empty, or there is no room."""
    num_bytes = 0
    try:
        with path.open("wb") as file:
            async for block in checked.blocks(request, queue.limits.upload_bytes, path.name):
                await run_in_threadpool(queue.store.book, path.parent, len(block))
                file.write(block)
                num_bytes += len(block)
    except OSError as error:
        raise Full(f"{path.name} cannot be stored on this machine: {error.strerror}") from error
    if not num_bytes:
        raise UserError(f"{path.name} is empty")
