"""The audit: every link from a checkpoint back to raw bytes and agreement, verified by hashing, told in a line each.

The claim is the commit: its dvc.lock says which bytes each stage took and gave, its code and params.yaml by what. The
files here either are those bytes or are named. `python -m flows audit`; questions about the past:
tasks/audit/history.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.audit import evidence
from tasks.core import files, paths, programs
from tasks.core.errors import UserError
from tasks.preprocess import pieces
from tasks.provenance import agreement, dvc_lock, git_revision, tombstones, training_record, withdrawals
from tasks.provenance.dvc_lock import Lock
from tasks.storage import index
from tasks.storage.index import Row
from tasks.tracking import runs as tracking

CHECKPOINTS = (paths.GENERATOR, paths.DISCRIMINATORS)
TRACKED = (*git_revision.DECIDING, dvc_lock.LOCK, str(paths.TRAIN_RECORD))


@dataclass(slots=True)
class Link:
    """One link of the chain: what it claims, and what speaks against it."""

    name: str
    claim: str
    findings: list[str] = field(default_factory=list)
    unchecked: str = ""  # why it could not be checked, where it could not
    facts: dict[str, Any] = field(default_factory=dict)  # hashes and names, for --json and the page

    @property
    def state(self) -> str:
        return "broken" if self.findings else "unchecked" if self.unchecked else "holds"

    @property
    def lines(self) -> list[str]:
        head = f"{self.state:<9} {self.name}: "
        told = [head + finding for finding in self.findings]
        return told or [head + self.claim + (f" ({self.unchecked})" if self.unchecked else "")]


@dataclass(frozen=True, slots=True)
class Case:
    """What is audited: a commit's lock, and the tables and descriptions whose bytes it names."""

    commit: str
    lock: Lock
    clips: list[Row] | None  # None: the table is damaged here, and the cache has no copy
    index: list[Row] | None
    checkpoint: dict[str, Any] | None  # models/generator.json


def run(*, without_raw: bool = False) -> list[Link]:
    """Verify the work tree against HEAD, from the checkpoint back to the agreement.

    Errors: UserError where there is no commit, or no dvc.lock in it.
    """
    case = open_case(without_raw)
    skipped = {str(paths.RAW)} if without_raw else set()
    wanted = {path: digest for path, digest in dvc_lock.outs_of(case.lock).items() if path not in skipped}
    findings, _ = evidence.outs(wanted)
    links = [
        evaluation(case),
        checkpoint(case),
        training(case),
        code(case),
        stages(case),
        *(written(name, case, findings) for name in case.lock),
        shard_members(case),
        came_in(case),
        raw_members(case, without_raw),
        withdrawn(case),
        held_under(case),
    ]
    return links


def open_case(without_raw: bool) -> Case:
    commit = git_revision.commit()
    if not commit:
        raise UserError("no git commit here: the audit compares what lies here with what a commit says; run it there")
    lock = dvc_lock.committed(commit)
    if lock is None:
        raise UserError(f"commit {commit[:12]} has no {dvc_lock.LOCK}; run `dvc repro` and commit it")
    tables = {}
    for path in (paths.CLIPS, paths.INDEX):
        place = evidence.table_or_copy(path, dvc_lock.out(lock, path))
        tables[path] = index.read(place) if place else None
    about = evidence.table_or_copy(
        paths.GENERATOR.with_suffix(".json"), dvc_lock.out(lock, paths.GENERATOR.with_suffix(".json"))
    )
    described = json.loads(about.read_text()) if about else None
    return Case(commit, lock, tables[paths.CLIPS], tables[paths.INDEX], described)


def code(case: Case) -> Link:
    num_files, findings = evidence.code(case.commit, TRACKED)
    claim = f"{num_files} files of commit {case.commit[:12]}: code, params.yaml, dvc.lock, byte for byte"
    return Link("code", claim, findings, facts={"commit": case.commit, "files": num_files})


def stages(case: Case) -> Link:
    """What each stage took is what another gave, and its code and parameters are those of the commit."""
    gave = dvc_lock.outs_of(case.lock)
    code_deps = sorted({dep for stage in case.lock.values() for dep in stage.deps if dep.endswith(".py")})
    contents = programs.git_contents([f"{case.commit}:{name}" for name in (*code_deps, str(paths.PARAMS), "dvc.yaml")])
    known = {
        name: files.md5_bytes(content)
        for name, content in zip(code_deps, contents, strict=False)
        if content is not None
    }
    params, pipeline = (yaml.safe_load(content or b"{}") for content in contents[-2:])
    findings = [
        f"{dvc_lock.LOCK}: stage {name} of dvc.yaml is not in it; run `dvc repro {name}`"
        for name in pipeline.get("stages", {})
        if name not in case.lock
    ]
    for name, stage in case.lock.items():
        for dep, digest in stage.deps.items():
            now = gave.get(dep) or known.get(dep)
            if now and now != digest:
                findings.append(f"stage {name}: ran with another {dep} (md5 {digest[:12]}, now {now[:12]})")
            elif dep.endswith(".py") and not now:
                findings.append(f"stage {name}: ran with {dep}, which the commit does not have")
        for key, value in stage.params.items():
            if _value(params, key) != value:
                findings.append(f"stage {name}: ran with {key} other than params.yaml says now")
    claim = f"{len(case.lock)} stages took what others gave, and ran the code and parameters of the commit"
    return Link("stages", claim, findings, facts={"code_files": len(known)})


def _value(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params.get(part) if isinstance(params, dict) else None
    return params


def _differs(described: Any, given: Any) -> bool:
    """Whether a description contradicts dvc.lock; what it leaves out (it changes no byte) contradicts nothing."""
    if isinstance(described, dict) and isinstance(given, dict):
        return any(_differs(value, given.get(name)) for name, value in described.items())
    return described is not None and described != given


def written(name: str, case: Case, findings: Mapping[str, list[str]]) -> Link:
    stage = case.lock[name]
    mine = [finding for path in stage.outs for finding in findings.get(path, [])]
    unchecked = [path for path in stage.outs if path not in findings]
    claim = ", ".join(f"{path} {digest[:8]}" for path, digest in stage.outs.items())
    skipped = f"{', '.join(unchecked)} not checked, as asked" if unchecked else ""
    return Link(f"bytes of {name}", claim, mine, skipped, dict(stage.outs))


def checkpoint(case: Case) -> Link:
    """The checkpoint's description against the index, the parameters and the licences it was trained under."""
    link = Link("checkpoint", "", facts={str(path): dvc_lock.out(case.lock, path) for path in CHECKPOINTS})
    if case.checkpoint is None:
        link.unchecked = "models/generator.json is damaged here and DVC has no copy"
        return link
    told, train = case.checkpoint["lineage"], case.lock["train"]
    index_md5 = dvc_lock.out(case.lock, paths.INDEX)
    if told["index_md5"] != index_md5:
        link.findings.append(
            f"{paths.GENERATOR}: trained on index {told['index_md5'][:12]}, the commit's index is {index_md5[:12]}"
        )
    for key, value in train.params.items():
        if _differs(_value(case.checkpoint["params"], key), value):
            link.findings.append(f"{paths.GENERATOR}: its description has another {key} than dvc.lock")
    rows = index.kept(case.index, "train") if case.index is not None else []
    for key, values in (
        ("corpora", {row["corpus"] for row in rows}),
        ("licences", {row["licence"] for row in rows}),
    ):
        if rows and sorted(values) != told[key]:
            link.findings.append(f"{paths.GENERATOR}: its {key} are {told[key]}, those of the index are others")
    link.claim = (
        f"step {case.checkpoint['loop']['step']} on index {index_md5[:12]}, corpora {', '.join(told['corpora'])}, "
        f"under {', '.join(told['licences'])}"
    )
    link.facts |= {"index_md5": told["index_md5"], "licences": told["licences"], "corpora": told["corpora"]}
    return link


def training(case: Case) -> Link:
    """The record of the training: of this checkpoint, from clean trees, and MLflow says the same."""
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
            link.findings.append(f"trained by code of commit {session['git_commit'][:12]}, which is not here")
    by = ", ".join(session["git_commit"][:12] for session in record["sessions"])
    link.claim = f"code {by}, clean; seed {record['seed']}; {record['machine']['cpu']}; MLflow {record['mlflow_run']}"
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
        wanted = {tag: dvc_lock.out(case.lock, Path(path)) for tag, path in training_record.TAGS.items()}
        wanted["data.index.md5"] = dvc_lock.out(case.lock, paths.INDEX)
        link.findings += [
            f"MLflow run {run_id[:8]}: tag {tag} is {tags.get(tag, 'not set')}, dvc.lock says {value}"
            for tag, value in wanted.items()
            if tags.get(tag) != value
        ]


def evaluation(case: Case) -> Link:
    """The metrics are of this checkpoint and this index."""
    link = Link("evaluation", "")
    digest = dvc_lock.out(case.lock, paths.METRICS)
    if not digest:
        link.claim, link.unchecked = "no metrics", "dvc.lock has no stage evaluate"
        return link
    place = evidence.table_or_copy(paths.METRICS, digest)
    about = json.loads(place.read_text())["about"] if place else {}
    for key, path in (("checkpoint_md5", paths.GENERATOR), ("index_md5", paths.INDEX)):
        if place and about.get(key) != dvc_lock.out(case.lock, path):
            link.findings.append(f"{paths.METRICS}: measured on another {path} than that of dvc.lock")
    link.claim = f"{paths.METRICS} is of this checkpoint and this index"
    link.unchecked = "" if place else f"{paths.METRICS} is damaged here"
    return link


def shard_members(case: Case) -> Link:
    link = Link("clips in shards", "", facts={"shards": dvc_lock.out(case.lock, paths.SHARDS)})
    if case.index is None:
        link.unchecked = f"{paths.INDEX} is damaged here and DVC has no copy"
        return link
    num_clips, link.findings = evidence.members(paths.SHARDS, index.kept(case.index))
    link.claim = f"{num_clips} rows of the index have their members, no member is without a row"
    return link


def came_in(case: Case) -> Link:
    """One index row for every clip that came in, or for each of its pieces, of the same source."""
    link = Link("clips", "")
    if case.clips is None or case.index is None:
        link.unchecked = "a table is damaged here and DVC has no copy"
        return link
    before, after = ({row["clip"]: row for row in rows} for rows in (case.clips, case.index))
    origin = {key: key if key in before else pieces.clip_of(key) for key in sorted(after)}
    missing = sorted(before.keys() - origin.values())
    link.findings = [f"{paths.INDEX}: {clip} came in, but has no row" for clip in missing]
    link.findings += [
        f"{paths.INDEX}: {key} has a row, but never came in" for key in origin if origin[key] not in before
    ]
    for key, clip in origin.items():
        for column in ("source_sha256", "licence", "corpus", "split"):
            if clip in before and before[clip][column] != after[key][column]:
                link.findings.append(f"{paths.INDEX}: {key} has another {column} than it came in with")
    num_refused = len(after) - len(index.kept(case.index))
    link.claim = f"{len(before)} clips came in, {num_refused} of them refused by name; sources and licences agree"
    return link


def raw_members(case: Case, without_raw: bool) -> Link:
    link = Link("raw bytes", "", facts={"raw": dvc_lock.out(case.lock, paths.RAW)})
    if without_raw or case.clips is None:
        link.unchecked = "not checked, as asked" if without_raw else f"{paths.CLIPS} is damaged here"
        link.claim = f"{paths.RAW} of dvc.lock"
        return link
    num_clips, link.findings = evidence.members(paths.RAW, index.kept(case.clips))
    link.claim = f"{num_clips} clips as they came in, each with the hash of its row"
    return link


def withdrawn(case: Case) -> Link:
    """Who has withdrawn is in no kept row, and what was purged says so under a signature that holds."""
    rows = withdrawals.read()
    kept = {row["video"] for table in (case.clips, case.index) for row in index.kept(table or [])}
    link = Link("withdrawals", f"{len(rows)} videos withdrawn, none of them in the tables", facts={"videos": len(rows)})
    link.findings = [
        f"{paths.INDEX}: {video} has withdrawn and is in it; `dvc repro`" for video in sorted(kept & set(rows))
    ]
    for video in sorted(rows):
        stones = tombstones.read(video)
        link.findings += [f"{stone['file']}: was changed after it was signed" for stone in stones if not stone["valid"]]
    return link


def held_under(case: Case) -> Link:
    """Corpora and licences, and the agreement where one is needed."""
    rows = case.clips or []
    corpora = sorted({row["corpus"] for row in rows})
    licences = sorted({row["licence"] for row in rows})
    claim = f"corpora {', '.join(corpora)} under {', '.join(licences)}"
    link = Link("agreement", claim, facts={"corpora": corpora, "licences": licences})
    if "lrs2" in corpora:
        try:
            if agreement.demand() not in licences:
                link.findings.append(f"{paths.AGREEMENT}: its licence is not the one of the clips")
            given = json.loads(paths.AGREEMENT.read_text())
            link.facts["agreement"] = given
            link.claim += f"; signed by {given['who']}, {given['organisation']}, {given['date']}"
        except UserError as error:
            link.findings.append(str(error))
    else:
        link.claim += "; none needs an agreement"
    return link


def clean(links: Sequence[Link]) -> bool:
    return not any(link.findings for link in links)


def summary(links: Sequence[Link]) -> str:
    states = [link.state for link in links]
    told = f"{len(links)} links: {states.count('holds')} hold, {states.count('broken')} broken, "
    return told + f"{states.count('unchecked')} not checked; {sum(len(link.findings) for link in links)} findings"


def as_dict(links: Sequence[Link]) -> dict[str, Any]:
    return {"clean": clean(links), "links": [asdict(link) | {"state": link.state} for link in links]}
