"""What Prefect's pages show of a flow run: its name, tags, changed parameters, its log, and its tables (artifacts)."""

import dataclasses
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import yaml
from prefect import get_client, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError

from flows import offline
from model.params import Params
from tasks.core import config, paths, programs, progress
from tasks.core.errors import REASONS

FLOWS, TASKS = "prefect.flow_runs", "prefect.task_runs"  # loggers
EXPERIMENT = "DVC_EXP_NAME"  # set by `dvc exp run`


def changed(p: Params) -> dict[str, Any]:
    """The parameters that differ from those of the commit, as `dvc params diff` lists them; all where there is none."""
    committed = yaml.safe_load(programs.git("show", f"HEAD:./{paths.PARAMS}") or "")
    before = config.flat(committed) if isinstance(committed, dict) else {}
    return {name: value for name, value in config.flat(dataclasses.asdict(p)).items() if before.get(name) != value}


def tags(p: Params) -> list[str]:
    """The corpus, the commit, and the experiment of DVC, if this is one: with `changed` they say all parameters."""
    commit = programs.git("rev-parse", "--short", "HEAD")
    experiment = os.environ.get(EXPERIMENT)
    return [p.corpus.name, *([f"commit {commit}"] if commit else []), *([f"exp {experiment}"] if experiment else [])]


def entitle(name: str, tags: Sequence[str] = ()) -> None:
    """Name the flow run that is going on, and add tags to those it has.

    Tags set around a flow would be its tasks' too, and Prefect asks for each of those whether a limit is set for it.
    """
    context = FlowRunContext.get()
    assert context is not None and context.flow_run is not None
    run = context.flow_run
    run.name, run.tags = name, [*run.tags, *(tag for tag in tags if tag not in run.tags)]
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, name=name, tags=run.tags)


@contextmanager
def logged() -> Iterator[None]:
    """Within it the lines of this process, and warnings of its modules, are in the Logs tab of the run or the task.

    Prefect's own messages are there too; the terminal gets neither, because `say` prints there already.
    """
    of_flow = get_run_logger()
    logging.raiseExceptions = False  # a server that goes away is the flow's error, not one of every line too
    for name in (FLOWS, TASKS):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not any(isinstance(each, Readable) for each in logger.filters):
            logger.addFilter(Readable())

    def write(line: str, level: int = logging.INFO) -> None:
        try:
            of_task = get_run_logger()
        except MissingContextError:  # a thread that is no task's
            of_task = of_flow
        of_task.log(level, "%s", line)

    if offline.in_memory():  # nobody keeps the lines; and from a thread without a flow Prefect would start a server
        yield
        return
    handler = Forward(write)
    modules = logging.getLogger("tasks")
    modules.addHandler(handler)
    try:
        with progress.copied(write):
            yield
    finally:
        modules.removeHandler(handler)


class Forward(logging.Handler):
    """Warnings of the modules of tasks/, as lines."""

    def __init__(self, write: Any) -> None:
        super().__init__(logging.WARNING)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record.getMessage(), record.levelno)


class Readable(logging.Filter):
    """Drops the line of each task that went well, of which there are hundreds, and "NoneType: None", which Prefect logs
    as the traceback of a failed state without an exception.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info == (None, None, None):
            record.exc_info = None
        return not (record.name == TASKS and record.getMessage().startswith("Finished in state Completed"))


def table(key: str, title: str, head: Sequence[str], rows: Sequence[Sequence[Any]], below: str = "") -> None:
    """An artifact of the run: a table under a title. key: lower-case letters and dashes; nothing without a server"""
    if offline.in_memory():
        return
    lines = [f"## {title}", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    create_markdown_artifact("\n".join([*lines, "", below]), key=key, description=title)


def refusals(stage: str, kept: int, refused: Mapping[str, int]) -> None:
    """The artifact `<stage>-refusals`: how many clips were refused for what."""
    rows = [(reason, REASONS[reason], number) for reason, number in sorted(refused.items(), key=lambda r: -r[1])]
    title = f"{stage}: {kept} clips kept, {sum(refused.values())} refused"
    where = paths.CLIPS if stage == "acquire" else paths.INDEX
    table(f"{stage}-refusals", title, ("reason", "meaning", "clips"), rows, f"Each clip: `{where}`")
