"""Editing by transcript over HTTP: the words of an upload, then previews and videos of a new text.

Jobs are those of tasks/serving/routes.py: their state, cancelling, video and JSON are asked for there.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool

from tasks.core.errors import UserError
from tasks.dubbing.options import Options
from tasks.serving import checked
from tasks.serving.job_queue import JobQueue
from tasks.serving.messages import EditOrder
from tasks.serving.routes import GONE, Queue

router = APIRouter()


@router.post("/edits/words")
async def post_words(request: Request, queue: Queue) -> dict[str, str]:
    """Find when each word of a transcript is said."""
    fields = await checked.json_fields(request, checked.WORDS, "a transcript")
    return {"job": await run_in_threadpool(add_words, queue, fields)}


@router.get("/edits/words/{name}")
def get_words(name: str, queue: Queue) -> Response:
    job = queue.jobs.get(name)
    found = job and job.state == "done" and isinstance(job.order, EditOrder) and job.order.step == "words"
    return FileResponse(job.order.out, media_type="application/json") if job and found else GONE


@router.post("/edits")
async def post_edit(request: Request, queue: Queue) -> dict[str, str]:
    """A preview or a video of the new text."""
    fields = await checked.json_fields(request, checked.EDIT, "an edit")
    return {"job": await run_in_threadpool(add_edit, queue, fields)}


def add_words(queue: JobQueue, fields: dict[str, Any]) -> str:
    """Errors: UserError"""
    text, face = text_of(queue, fields), queue.upload(fields.get("face"), "face").path
    out = queue.store.folder() / "words.json"
    return queue.add(EditOrder(step="words", face=face, transcript=text, out=out, options=Options(generator="mesh")))


def add_edit(queue: JobQueue, fields: dict[str, Any]) -> str:
    """Errors: UserError"""
    text, face = text_of(queue, fields), queue.upload(fields.get("face"), "face").path
    words = queue.jobs.get(fields.get("words") or "")
    if not words or words.state != "done" or not isinstance(words.order, EditOrder) or words.order.face != face:
        raise UserError(checked.REFUSED["words"])
    transcript, step = words.order.out.read_text(), fields.get("step") or "render"
    chosen = {name: fields[name] for name in ("voice", "strength", "label") if name in fields}
    options = Options.from_mapping({"generator": "mesh", "strength": str(queue.options.strength)} | chosen)
    options.check()
    out = queue.store.folder() / f"{face.stem}-{'preview' if step == 'preview' else 'edited'}.mp4"
    return queue.add(EditOrder(
        step=step, face=face, transcript=transcript, out=out, options=options, to=text,
        force=fields.get("force") == "yes",
    ))  # fmt: skip


def text_of(queue: JobQueue, fields: dict[str, Any]) -> str:
    text: str = (fields.get("text") or "").strip()
    if not text:
        raise UserError("there is no text: give what is said, word by word")
    if len(text) > queue.limits.transcript_letters:
        raise UserError(f"the text has {len(text)} letters; the limit here is {queue.limits.transcript_letters}")
    return text
