"""The state of the app: accepts uploads, runs one job at a time, deletes everything after its time to live.

All files lie in one temporary folder, which is deleted when the queue is closed.
"""

import multiprocessing
import queue
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tasks.core.errors import UserError
from tasks.dubbing.options import DEFAULTS, Options
from tasks.serving import choices, worker
from tasks.serving.examiner import Examiner
from tasks.serving.live_sessions import LiveSessions
from tasks.serving.messages import Done, DubOrder, EditOrder, Progress
from tasks.serving.store import Store
from tasks.serving.uploads import Limits, safe_name

POLL_S = 0.2  # between two looks at the worker's pipe, the clock and whether the job was cancelled
PATIENCE_S = 2.0  # for a worker to end by itself
UNUSED_S = 120.0  # for which an upload without a job, or an output, is kept although the store is full
OVER = ("done", "refused", "stopped")
# options of dub that the page may set
PAGE_OPTIONS = ("voice", "speaker", "length", "label", "strength", "background", "person")
MOST_LIBRARY = 4  # further videos of one job
CRASHED = "the program failed at this job; the traceback is on the terminal where the app was started"


@dataclass
class Upload:
    path: Path
    kind: str
    duration_s: float
    until_s: float  # kept until then, on the clock of time.monotonic


@dataclass
class Job:
    """`state`: waiting, working, done, refused or stopped.  `what`: the step that num_done and num_total count"""

    order: DubOrder | EditOrder
    until_s: float
    state: str = "waiting"
    what: str = ""
    num_done: int = 0
    num_total: int = 0
    error: str = ""
    cancelled: bool = False

    def close(self, state: str, error: str, until_s: float) -> None:
        self.error, self.until_s, self.state = error, until_s, state


@dataclass
class JobQueue:
    """A context manager; a thread runs the jobs while it is open.  Errors: UserError, one line, for what is refused"""

    limits: Limits = field(default_factory=Limits)
    faces: dict[str, Path] = field(default_factory=dict)  # pictures offered for live sessions, by name
    options: Options = DEFAULTS  # generator, strength and backend of jobs and sessions that choose nothing else

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="lipgan-app-"))
        self.uploads: dict[str, Upload] = {}
        self.jobs: dict[str, Job] = {}
        self.waiting: queue.Queue[Job] = queue.Queue()
        self.store = Store(self.folder, self.limits.kept_bytes, self.make_room)
        self.examiner = Examiner()
        self.changing = threading.Lock()  # held where jobs are counted and added
        self.live = LiveSessions(self.limits)
        self.closing = threading.Event()
        self.worker: tuple[BaseProcess, Connection] | None = None
        self.thread = threading.Thread(target=self.run_jobs, name="jobs", daemon=True)
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
        self.live.close_all()
        self.examiner.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_path(self, name: str) -> Path:
        """Where an upload of this name is to be written: a folder of its own.  Errors: store.Full"""
        return self.store.folder() / safe_name(name)

    def add_upload(self, path: Path, kind: str) -> str:
        """Returns the name by which a job refers to this file; a file that is refused is deleted."""
        try:
            duration_s = self.examiner.check(path, kind, self.limits)
        except UserError:
            self.drop(path)
            raise
        name = secrets.token_urlsafe(12)
        self.uploads[name] = Upload(path, kind, duration_s, time.monotonic() + self.limits.keep_s)
        return name

    def drop(self, path: Path) -> None:
        """Delete a file with its folder."""
        self.store.drop(path.parent)

    def make_room(self) -> bool:
        """Delete the oldest upload that no job needs, or else the oldest output, that is older than UNUSED_S."""
        newest_s = time.monotonic() + self.limits.keep_s - UNUSED_S
        needed = self.needed()
        unused = {n: u for n, u in list(self.uploads.items()) if u.path not in needed and u.until_s < newest_s}
        done = {n: job for n, job in list(self.jobs.items()) if job.state in OVER and job.until_s < newest_s}
        for kept in (unused, done):
            for name in sorted(kept, key=lambda name: kept[name].until_s)[:1]:
                self.forget(name)
                return True
        return False

    def forget(self, name: str) -> None:
        """Delete an upload, or a job that is over with its output."""
        if upload := self.uploads.pop(name, None):
            self.drop(upload.path)
        if job := self.jobs.pop(name, None):
            self.drop(job.order.out)

    def needed(self) -> set[Path]:
        """Files of jobs that wait or are worked at."""
        return {path for job in list(self.jobs.values()) if job.state not in OVER for path in files_of(job.order)}

    def upload(self, name: str | None, kind: str) -> Upload:
        upload = self.uploads.get(name or "")
        if upload is None or upload.kind != kind:
            raise UserError(f"the {kind} is no longer here; choose the file again")
        return upload

    def options_of(self, fields: dict[str, Any]) -> tuple[Options, str | None]:
        """The options that the page's fields name, and the checkpoint.

        library  names of uploads, with spaces between them
        """
        generator, checkpoint = choices.generator_of(fields, self.options)
        uploads = (fields.get("library") or "").split()
        if len(uploads) > MOST_LIBRARY:
            raise UserError(f"{len(uploads)} videos to take the mouth from; the limit here is {MOST_LIBRARY}")
        chosen = {name: fields.get(name) or None for name in PAGE_OPTIONS}
        if chosen["person"] and chosen["person"] not in choices.persons():
            raise UserError("there is no such person here; load the page again")
        of_mesh = {"strength": self.options.strength} if generator == "mesh" else {"backend": self.options.backend}
        words = of_mesh | {name: value for name, value in chosen.items() if value}
        library = tuple(str(self.upload(name, "library").path) for name in uploads)
        options = Options.from_mapping({**words, "generator": generator, "library": library})
        options.check()
        return options, checkpoint

    def add_job(self, fields: dict[str, Any]) -> str:
        """A job from the fields that the page sends; returns its name."""
        text = (fields.get("text") or "").strip() or None
        if bool(text) == bool(fields.get("sound")):
            raise UserError("give either a sound or a text: what is to be said")
        if text and len(text) > self.limits.text_letters:
            raise UserError(f"the text has {len(text)} letters; the limit here is {self.limits.text_letters}")
        face = self.upload(fields.get("face"), "face")
        sound = None if text else self.upload(fields.get("sound"), "sound").path
        options, checkpoint = self.options_of(fields)
        options = replace(options, text=text)
        out = self.store.folder() / f"{face.path.stem}-dubbed.mp4"
        return self.add(DubOrder(face=face.path, sound=sound, checkpoint=checkpoint, out=out, options=options))

    def add(self, order: DubOrder | EditOrder) -> str:
        """A job for an order whose `out` is in a folder of the store; returns its name."""
        name, job = secrets.token_urlsafe(12), Job(order, time.monotonic() + self.limits.keep_s)
        with self.changing:
            if sum(other.state not in OVER for other in self.jobs.values()) >= self.limits.num_waiting:
                self.drop(order.out)
                raise UserError("too many jobs are waiting; try again in a few minutes")
            self.jobs[name] = job
        self.waiting.put(job)
        return name

    def ahead_of(self, job: Job) -> int:
        """How many jobs run before this one."""
        waiting = list(self.jobs.values())
        return sum(other.state not in OVER for other in waiting[: waiting.index(job)])

    # what follows runs in the thread of the queue

    def run_jobs(self) -> None:
        self.start_worker()
        while not self.closing.is_set():
            self.sweep()
            try:
                job = self.waiting.get(timeout=POLL_S)
            except queue.Empty:
                continue
            self.run_job(job)

    def run_job(self, job: Job) -> None:
        if job.cancelled:
            job.close("stopped", "stopped", time.monotonic() + self.limits.keep_s)
            return self.drop(job.order.out)
        job.state, job.what = "working", "starting"
        state, error = self.result_of(job)
        if state == "stopped" or error == CRASHED:
            self.stop_worker()
        self.store.measure(job.order.out.parent)
        job.close(state, error, time.monotonic() + self.limits.keep_s)
        if state != "done":
            self.drop(job.order.out)

    def result_of(self, job: Job) -> tuple[str, str]:
        """Have the worker do a job.  Returns (the state it ends in, the error or "")"""
        _, pipe = self.start_worker()
        started_s = time.monotonic()
        try:
            pipe.send(job.order)
            while True:
                if pipe.poll(POLL_S):
                    match pipe.recv():
                        case Progress(what, done, total):
                            job.what, job.num_done, job.num_total = what, done, total
                        case Done(error):
                            return ("refused" if error else "done"), error
                if job.cancelled or self.closing.is_set():
                    return "stopped", "stopped"
                if time.monotonic() - started_s > self.limits.work_s:
                    return "stopped", f"stopped after {self.limits.work_s:g} s of work; choose a shorter file"
        except (EOFError, OSError):  # the worker died: its end of the pipe is closed
            return "refused", CRASHED

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
        """Delete uploads and jobs whose time is over, except files that a waiting job needs."""
        self.live.sweep()
        now_s, needed = time.monotonic(), self.needed()
        for name, upload in list(self.uploads.items()):
            if upload.until_s < now_s and upload.path not in needed:
                self.forget(name)
        for name, job in list(self.jobs.items()):
            if job.state in OVER and job.until_s < now_s:
                self.forget(name)


def files_of(order: DubOrder | EditOrder) -> list[Path]:
    sound = [order.sound] if isinstance(order, DubOrder) and order.sound else []
    return [order.face, *sound, *map(Path, order.options.library)]
