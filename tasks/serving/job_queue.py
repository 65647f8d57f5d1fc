"""The desk of the app page: takes files and jobs in, has them done one at a time, and throws all away in time.

Everything lies in one temporary folder, which goes when the desk is closed.
"""

import contextlib
import multiprocessing
import queue
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

from tasks.core.errors import UserError
from tasks.dubbing.options import Options
from tasks.serving import worker
from tasks.serving.live_sessions import Booth
from tasks.serving.uploads import Limits, check, safe_name
from tasks.serving.worker import Done, DubOrder, Progress

LOOK_S = 0.2  # how often the worker's pipe, the clock and the wish to stop are looked at
PATIENCE_S = 2.0  # for a worker to end by itself
OVER = ("done", "refused", "stopped")
PAGE_OPTIONS = ("voice", "speaker", "length", "label")  # of a dub, as the page may ask for them
KILLED = "the program failed at this job; the terminal it was started in says why"


@dataclass
class Upload:
    path: Path
    kind: str
    duration_s: float
    until_s: float  # of time.monotonic, as all of these


@dataclass
class Job:
    """`state`: waiting, working, done, refused or stopped."""

    order: DubOrder
    until_s: float
    state: str = "waiting"
    what: str = ""
    num_done: int = 0
    num_total: int = 0
    error: str = ""
    unwanted: bool = False

    def close(self, state: str, error: str, until_s: float) -> None:
        self.error, self.until_s, self.state = error, until_s, state


@dataclass
class Desk:
    """Errors: what cannot be taken is a UserError of one line."""

    limits: Limits = field(default_factory=Limits)
    faces: dict[str, Path] = field(default_factory=dict)  # that are offered to go live with, by name
    backend: str | None = None  # of tasks.inference.auto_backend, for jobs and live sessions

    def __enter__(self) -> "Desk":
        self.folder = Path(tempfile.mkdtemp(prefix="lipgan-app-"))
        self.uploads: dict[str, Upload] = {}
        self.jobs: dict[str, Job] = {}
        self.waiting: queue.Queue[Job] = queue.Queue()
        self.booth = Booth(self.limits)
        self.closing = threading.Event()
        self.worker: tuple[BaseProcess, Connection] | None = None
        self.thread = threading.Thread(target=self.attend, name="desk", daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.closing.set()
        self.thread.join()
        if self.worker:
            self.worker[1].close()  # an idle worker ends by itself
            self.worker[0].join(PATIENCE_S)
        self.stop_worker()
        self.booth.close_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def room(self, name: str) -> Path:
        """A fresh place for a file that is handed in."""
        kept = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
        if kept > self.limits.kept_bytes:
            raise UserError("too much is kept here just now; come back in an hour")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        return folder / safe_name(name)

    def take(self, path: Path, kind: str) -> str:
        """The name by which a job may ask for this file; what is refused is deleted."""
        try:
            duration_s = check(path, kind, self.limits)
        except UserError:
            self.drop(path)
            raise
        name = secrets.token_urlsafe(12)
        self.uploads[name] = Upload(path, kind, duration_s, time.monotonic() + self.limits.keep_s)
        return name

    def drop(self, path: Path) -> None:
        shutil.rmtree(path.parent, ignore_errors=True)

    def upload(self, name: str | None, kind: str) -> Upload:
        found = self.uploads.get(name or "")
        if found is None or found.kind != kind:
            raise UserError(f"the {kind} is no longer here; choose the file again")
        return found

    def order(self, asked: dict[str, Any], checkpoint: str) -> str:
        """A job from what the page asks; its name."""
        text = (asked.get("text") or "").strip() or None
        if bool(text) == bool(asked.get("sound")):
            raise UserError("give either a sound or a text: what is to be said")
        if text and len(text) > self.limits.text_letters:
            raise UserError(f"the text has {len(text)} letters; at most {self.limits.text_letters} are taken here")
        if sum(job.state not in OVER for job in self.jobs.values()) >= self.limits.num_waiting:
            raise UserError("too many jobs are waiting; try again in a few minutes")
        face = self.upload(asked.get("face"), "face")
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        chosen = {name: asked.get(name) or None for name in PAGE_OPTIONS}
        order = DubOrder(
            face=face.path,
            sound=None if text else self.upload(asked.get("sound"), "sound").path,
            checkpoint=checkpoint,
            out=folder / f"{face.path.stem}-dubbed.mp4",
            options=Options.from_mapping({**chosen, "text": text, "backend": self.backend}),
        )
        name, job = secrets.token_urlsafe(12), Job(order, time.monotonic() + self.limits.keep_s)
        self.jobs[name] = job
        self.waiting.put(job)
        return name

    def ahead_of(self, job: Job) -> int:
        """Jobs that are done before this one."""
        waiting = list(self.jobs.values())
        return sum(other.state not in OVER for other in waiting[: waiting.index(job)])

    # the desk's own thread

    def attend(self) -> None:
        self.start_worker()
        while not self.closing.is_set():
            self.sweep()
            try:
                job = self.waiting.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            self.do(job)

    def do(self, job: Job) -> None:
        if job.unwanted:
            job.close("stopped", "stopped", time.monotonic() + self.limits.keep_s)
            return self.drop(job.order.out)
        job.state, job.what = "working", "starting"
        _, pipe = self.start_worker()
        started_s = time.monotonic()
        state, error = "", ""
        try:
            pipe.send(job.order)
            while not state:
                if pipe.poll(LOOK_S):
                    match pipe.recv():
                        case Progress(what, done, total):
                            job.what, job.num_done, job.num_total = what, done, total
                        case Done(error):
                            state = "refused" if error else "done"
                if state:
                    break
                if job.unwanted or self.closing.is_set():
                    state, error = "stopped", "stopped"
                elif time.monotonic() - started_s > self.limits.work_s:
                    state, error = "stopped", f"stopped after {self.limits.work_s:g} s of work; take a shorter one"
        except (EOFError, OSError):  # the worker died: its end of the pipe is closed
            state, error = "refused", KILLED
        if state == "stopped" or error == KILLED:
            self.stop_worker()
        job.close(state, error, time.monotonic() + self.limits.keep_s)
        if state != "done":
            self.drop(job.order.out)

    def start_worker(self) -> tuple[BaseProcess, Connection]:
        if self.worker is None or not self.worker[0].is_alive():
            context = multiprocessing.get_context("spawn")
            here, there = context.Pipe()
            process = context.Process(target=worker.work, args=(there,), name="dub", daemon=True)
            process.start()
            there.close()
            self.worker = process, here
        return self.worker

    def stop_worker(self) -> None:
        if self.worker:
            process, pipe = self.worker
            self.worker = None
            process.kill()
            process.join()
            pipe.close()

    def sweep(self) -> None:
        """Forget what has been here for long enough."""
        self.booth.sweep()
        now_s = time.monotonic()
        needed = {path for job in self.jobs.values() if job.state not in OVER for path in used(job.order)}
        for name, upload in list(self.uploads.items()):
            if upload.until_s < now_s and upload.path not in needed:
                with contextlib.suppress(KeyError):
                    del self.uploads[name]
                self.drop(upload.path)
        for name, job in list(self.jobs.items()):
            if job.state in OVER and job.until_s < now_s:
                del self.jobs[name]
                self.drop(job.order.out)


def used(order: DubOrder) -> list[Path]:
    return [path for path in (order.face, order.sound) if path]
