"""The audit: every link from a checkpoint back to raw bytes and agreement, verified by hashing, one line per link.

The reference is the commit: its dvc.lock lists the bytes that each stage read and wrote, and it contains the code and
params.yaml. Files with other bytes are reported. `python -m flows audit`; for the past see tasks/audit/history.py.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import yaml

from tasks.audit import evidence, links, tables
from tasks.audit.links import Case, Link
from tasks.core import json_files, paths, programs
from tasks.core.errors import UserError
from tasks.provenance import dvc_lock, git_revision
from tasks.storage import index


def run(*, without_raw: bool = False) -> list[Link]:
    """Verify the work tree against HEAD, from the checkpoint back to the agreement.

    Errors: UserError if there is no commit, or no dvc.lock in it.
    """
    case = open_case(without_raw)
    outs = dvc_lock.outs_of(case.lock)
    skipped = case.not_held | ({str(paths.RAW)} if without_raw else set())
    findings = evidence.outs({path: outs[path] for path in outs if path not in skipped}, case.unpushed)
    return [
        links.evaluation(case),
        links.checkpoint(case),
        links.training(case),
        links.code(case),
        links.stages(case),
        *(links.stage_bytes(name, case, findings) for name in case.lock),
        links.shard_members(case),
        links.acquired_clips(case),
        links.raw_members(case, without_raw),
        links.withdrawn(case),
        links.licences(case),
    ]


def pipeline_of(commit: str) -> dict[str, Any]:
    """dvc.yaml of a commit."""
    [text] = programs.git_contents([f"{commit}:dvc.yaml"])
    return yaml.safe_load(text or b"{}") or {}


def open_case(without_raw: bool) -> Case:
    commit = git_revision.commit()
    if not commit:
        raise UserError("no git commit here: the audit compares files with a commit; run it in the repository")
    lock = dvc_lock.committed(commit)
    if lock is None:
        raise UserError(f"commit {commit[:12]} has no {dvc_lock.LOCK}; run `dvc repro` and commit it")
    pipeline = pipeline_of(commit)
    lock = {name: stage for name, stage in lock.items() if name in pipeline.get("stages", {})}  # DVC keeps old entries
    unpushed = dvc_lock.unpushed(pipeline)
    not_held = evidence.not_held(dvc_lock.outs_of(lock), unpushed)
    rows = {}
    for path in (paths.CLIPS, paths.INDEX):
        place = evidence.table_or_copy(path, dvc_lock.out(lock, path))
        rows[path] = index.rows(place, tables.AUDITED) if place else None
    about = evidence.table_or_copy(
        paths.GENERATOR.with_suffix(".json"), dvc_lock.out(lock, paths.GENERATOR.with_suffix(".json"))
    )
    described = json_files.read(about) if about else None
    return Case(commit, lock, rows[paths.CLIPS], rows[paths.INDEX], described, unpushed, not_held)


def clean(links: Sequence[Link]) -> bool:
    return not any(link.findings for link in links)


def summary(links: Sequence[Link]) -> str:
    states = [link.state for link in links]
    counts = f"{states.count('holds')} hold, {states.count('broken')} broken, {states.count('unchecked')} not checked"
    return f"{len(links)} links: {counts}; {sum(len(link.findings) for link in links)} findings"


def as_dict(links: Sequence[Link]) -> dict[str, Any]:
    return {"clean": clean(links), "links": [asdict(link) | {"state": link.state} for link in links]}
