"""The links of the audited chain, from the evaluation back to the agreement: one check per function."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.audit import evidence, tables
from tasks.core import files, paths, programs
from tasks.core.errors import UserError
from tasks.provenance import agreement, dvc_lock, git_revision, tombstones, training_record, withdrawals
from tasks.provenance.dvc_lock import Lock
from tasks.storage import index
from tasks.storage.table_rows import Rows
from tasks.tracking import runs as tracking

CHECKPOINTS = (paths.GENERATOR, paths.DISCRIMINATORS)
COMMITTED = ("flows/", "tasks/", "model/", "released/")  # deps that the commit itself holds
TRACKED = (*git_revision.DECIDING, dvc_lock.LOCK, str(paths.TRAIN_RECORD))


@dataclass(slots=True)
class Link:
    """One link of the chain: its claim, and findings against it."""

    name: str
    claim: str
    findings: list[str] = field(default_factory=list)
    unchecked: str = ""  # why it could not be checked
    facts: dict[str, Any] = field(default_factory=dict)  # hashes and names, for --json and the page

    @property
    def state(self) -> str:
        return "broken" if self.findings else "unchecked" if self.unchecked else "holds"

    @property
    def lines(self) -> list[str]:
        head = f"{self.state:<9} {self.name}: "
        findings = [head + finding for finding in self.findings]
        return findings or [head + self.claim + (f" ({self.unchecked})" if self.unchecked else "")]


@dataclass(frozen=True, slots=True)
class Case:
    """The subject of an audit: a commit's lock, and the tables and descriptions whose bytes it lists."""

    commit: str
    lock: Lock
    clips: Rows | None  # None: the table here is damaged, and the cache has no copy; columns: tables.AUDITED
    index: Rows | None
    checkpoint: dict[str, Any] | None  # models/generator.json
    unpushed: frozenset[str] = frozenset()  # outs with `push: false`
    not_held: frozenset[str] = frozenset()  # those of them that only another machine has


def code(case: Case) -> Link:
    num_files, findings = evidence.code(case.commit, TRACKED)
    claim = f"{num_files} files of commit {case.commit[:12]}: code, params.yaml, dvc.lock, byte for byte"
    return Link("code", claim, findings, facts={"commit": case.commit, "files": num_files})


def stages(case: Case) -> Link:
    """Each stage's inputs are outputs of others, and its code and parameters are those of the commit."""
    outs = dvc_lock.outs_of(case.lock)
    code_deps = sorted({dep for stage in case.lock.values() for dep in stage.deps if dep.startswith(COMMITTED)})
    contents = programs.git_contents([f"{case.commit}:{name}" for name in (*code_deps, str(paths.PARAMS), "dvc.yaml")])
    known = {
        name: files.md5_bytes(content)
        for name, content in zip(code_deps, contents, strict=False)
        if content is not None
    }
    params, pipeline = (yaml.safe_load(content or b"{}") for content in contents[-2:])
    findings = [
        f"{dvc_lock.LOCK}: stage {name} of dvc.yaml is missing; run `dvc repro {name}`"
        for name in pipeline.get("stages", {})
        if name not in case.lock
    ]
    for name, stage in case.lock.items():
        for dep, digest in stage.deps.items():
            now = outs.get(dep) or known.get(dep)
            if now and now != digest:
                findings.append(f"stage {name}: ran with another {dep} (md5 {digest[:12]}, now {now[:12]})")
            elif dep.startswith(COMMITTED) and not now:
                findings.append(f"stage {name}: ran with {dep}, which the commit does not have")
        for key, value in stage.params.items():
            if _value(params, key) != value:
                findings.append(f"stage {name}: ran with another {key} than params.yaml has now")
    claim = f"{len(case.lock)} stages read the outputs of others, and ran the code and parameters of the commit"
    return Link("stages", claim, findings, facts={"code_files": len(known)})


def _value(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params.get(part) if isinstance(params, dict) else None
    return params


def _differs(described: Any, locked: Any) -> bool:
    """Whether a description contradicts dvc.lock; it may leave out parameters that change no byte."""
    if isinstance(described, dict) and isinstance(locked, dict):
        return any(_differs(value, locked.get(name)) for name, value in described.items())
    return described is not None and described != locked


def stage_bytes(name: str, case: Case, findings: Mapping[str, list[str]]) -> Link:
    stage = case.lock[name]
    of_stage = [finding for path in stage.outs for finding in findings.get(path, [])]
    unchecked = [path for path in stage.outs if path not in findings]
    claim = ", ".join(f"{path} {digest[:8]}" for path, digest in stage.outs.items())
    skipped = "; ".join(f"{path} {_why_not(path, case)}" for path in unchecked)
    return Link(f"bytes of {name}", claim, of_stage, skipped, dict(stage.outs))


def _why_not(path: str, case: Case) -> str:
    return "not held here, and in no remote" if path in case.not_held else "not checked, as requested"


def checkpoint(case: Case) -> Link:
    """The checkpoint's description against the index, parameters and licences of its training."""
    link = Link("checkpoint", "", facts={str(path): dvc_lock.out(case.lock, path) for path in CHECKPOINTS})
    if case.checkpoint is None:
        link.unchecked = "models/generator.json is damaged here and DVC has no copy"
        return link
    lineage, train = case.checkpoint["lineage"], case.lock["train"]
    index_md5 = dvc_lock.out(case.lock, paths.INDEX)
    if lineage["index_md5"] != index_md5:
        link.findings.append(
            f"{paths.GENERATOR}: trained on index {lineage['index_md5'][:12]}, the commit's index is {index_md5[:12]}"
        )
    for key, value in train.params.items():
        if _differs(_value(case.checkpoint["params"], key), value):
            link.findings.append(f"{paths.GENERATOR}: its description has another {key} than dvc.lock")
    rows = index.kept(case.index, "train") if case.index is not None else None
    for key, column in (("corpora", "corpus"), ("licences", "licence")):
        if rows and sorted({*rows.column(column)}) != lineage[key]:
            link.findings.append(f"{paths.GENERATOR}: its {key} are {lineage[key]}, the index has others")
    link.claim = (
        f"step {case.checkpoint['loop']['step']} on index {index_md5[:12]}, corpora {', '.join(lineage['corpora'])}, "
        f"under {', '.join(lineage['licences'])}"
    )
    link.facts |= {name: lineage[name] for name in ("index_md5", "licences", "corpora")}
    return link


def training(case: Case) -> Link:
    """The training record: of this checkpoint, from clean work trees, and consistent with MLflow."""
    content = programs.git_contents([f"{case.commit}:{paths.TRAIN_RECORD}"])[0]
    link = Link("training run", "")
    if content is None:
        link.findings.append(
            f"{paths.TRAIN_RECORD}: commit {case.commit[:12]} has no such record; add it to the commit"
        )
        return link
    record = training_record.load(content)
    link.facts = dict(record)
    for path in CHECKPOINTS:
        if record["outs"].get(str(path)) != (wanted := dvc_lock.out(case.lock, path)):
            link.findings.append(f"{paths.TRAIN_RECORD}: of another {path} than dvc.lock's {wanted[:12]}")
    if record["data"].get(str(paths.INDEX)) != dvc_lock.out(case.lock, paths.INDEX):
        link.findings.append(f"{paths.TRAIN_RECORD}: trained on another {paths.INDEX} than that of dvc.lock")
    for session in record["sessions"]:
        link.findings += [f"work tree dirty at training time: {line}" for line in session["changed"]]
        if not session["git_commit"]:
            link.findings.append("trained outside any git repository")
        elif programs.git("cat-file", "-e", session["git_commit"]) is None:
            link.findings.append(f"trained by code of commit {session['git_commit'][:12]}, which is not in this clone")
    commits = ", ".join(session["git_commit"][:12] for session in record["sessions"])
    link.claim = (
        f"code {commits}, clean; seed {record['seed']}; {record['machine']['cpu']}; MLflow {record['mlflow_run']}"
    )
    _against_mlflow(link, record, case)
    return link


def _against_mlflow(link: Link, record: training_record.Record, case: Case) -> None:
    run_id = record["mlflow_run"]
    if not run_id:
        link.unchecked = "trained without MLflow"
    elif not tracking.has_store():
        link.unchecked = "its MLflow store is not here"
    elif (tags := tracking.tags_of(run_id)) is None:
        link.unchecked = f"the MLflow store here has no run {run_id}"
    else:
        expected = {tag: dvc_lock.out(case.lock, Path(path)) for tag, path in training_record.TAGS.items()}
        expected["data.index.md5"] = dvc_lock.out(case.lock, paths.INDEX)
        link.findings += [
            f"MLflow run {run_id[:8]}: tag {tag} is {tags.get(tag, 'not set')}, dvc.lock has {value}"
            for tag, value in expected.items()
            if tags.get(tag) != value
        ]


def evaluation(case: Case) -> Link:
    """The metrics belong to this checkpoint, these networks of the mesh generator and this index."""
    link = Link("evaluation", "")
    digest = dvc_lock.out(case.lock, paths.METRICS)
    if not digest:
        link.claim, link.unchecked = "no metrics", "dvc.lock has no stage evaluate"
        return link
    place = evidence.table_or_copy(paths.METRICS, digest)
    about = json.loads(place.read_text())["about"] if place else {}
    measured = {"checkpoint_md5": paths.GENERATOR, "index_md5": paths.INDEX}
    if "motion" in case.lock:  # older commits have no such stage
        measured["motion_md5"] = paths.MOTION
    if "inside" in case.lock:
        measured["inside_md5"] = paths.INSIDE
    for key, path in measured.items():
        if place and about.get(key) != dvc_lock.out(case.lock, path):
            link.findings.append(f"{paths.METRICS}: measured on another {path} than that of dvc.lock")
    link.claim = f"{paths.METRICS} belongs to {', '.join(map(str, measured.values()))}"
    link.unchecked = "" if place else f"{paths.METRICS} is damaged here"
    return link


def shard_members(case: Case) -> Link:
    link = Link("clips in shards", "", facts={"shards": dvc_lock.out(case.lock, paths.SHARDS)})
    if case.index is None:
        link.unchecked = f"{paths.INDEX} is damaged here and DVC has no copy"
        return link
    num_clips, link.findings = evidence.members(paths.SHARDS, index.kept(case.index))
    link.claim = f"{num_clips} rows of the index have their members, and no member lacks a row"
    return link


def acquired_clips(case: Case) -> Link:
    """One index row for every acquired clip, or for each of its pieces, with the same source."""
    link = Link("clips", "")
    if case.clips is None or case.index is None:
        link.unchecked = "a table is damaged here and DVC has no copy"
        return link
    link.findings = tables.differences(case.clips, case.index)
    num_refused = len(case.index) - len(index.kept(case.index))
    link.claim = (
        f"{len(case.clips)} clips acquired, {num_refused} of them refused with a reason; sources and licences agree"
    )
    return link


def raw_members(case: Case, without_raw: bool) -> Link:
    link = Link("raw bytes", "", facts={"raw": dvc_lock.out(case.lock, paths.RAW)})
    if (raw := str(paths.RAW)) in case.not_held or without_raw or case.clips is None:
        damaged = case.clips is None and not without_raw
        link.unchecked = f"{paths.CLIPS} is damaged here" if damaged else _why_not(raw, case)
        link.claim = f"{paths.RAW} of dvc.lock"
        return link
    num_clips, link.findings = evidence.members(paths.RAW, index.kept(case.clips))
    link.claim = f"{num_clips} clips as acquired, each with the hash of its row"
    return link


def withdrawn(case: Case) -> Link:
    """No withdrawn video is in a kept row, and every tombstone has a valid signature."""
    rows = withdrawals.read()
    kept = {video for table in (case.clips, case.index) if table for video in index.kept(table).column("video")}
    link = Link("withdrawals", f"{len(rows)} videos withdrawn, none of them in the tables", facts={"videos": len(rows)})
    link.findings = [
        f"{paths.INDEX}: {video} is withdrawn but still in it; `dvc repro`" for video in sorted(kept & set(rows))
    ]
    for video in sorted(rows):
        stones = tombstones.read(video)
        link.findings += [f"{stone['file']}: was changed after it was signed" for stone in stones if not stone["valid"]]
    return link


def licences(case: Case) -> Link:
    """Corpora and licences, and the agreement if one is needed."""
    corpora, names = (sorted({*case.clips.column(name)}) if case.clips else [] for name in ("corpus", "licence"))
    claim = f"corpora {', '.join(corpora)} under {', '.join(names)}"
    link = Link("agreement", claim, facts={"corpora": corpora, "licences": names})
    if "lrs2" in corpora:
        try:
            if agreement.demand() not in names:
                link.findings.append(f"{paths.AGREEMENT}: its licence is not the one of the clips")
            signed = json.loads(paths.AGREEMENT.read_text())
            link.facts["agreement"] = signed
            link.claim += f"; signed by {signed['who']}, {signed['organisation']}, {signed['date']}"
        except UserError as error:
            link.findings.append(str(error))
    else:
        link.claim += "; none needs an agreement"
    return link
