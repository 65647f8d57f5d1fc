"""Retraining: new data -> `dvc repro` -> the gate -> a branch, and a new champion if it passes.

    python -m flows retrain

reads   the repository at HEAD, or at the newest retraining built on it; the corpus as it is now
writes  branch retrain/<date>-<n> with dvc.lock and reports/; reports/retrain.json in it; MLflow's aliases
keeps   .cache/retrain, its work tree

The serving version changes last: after any earlier failure the old champion keeps serving, and the next run continues
from the failed step. Finished trainings are in DVC's run-cache and are not repeated.
"""

import datetime
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from model.params import Params
from tasks.core import config, files, paths, programs
from tasks.core.files import write_atomic
from tasks.core.progress import say
from tasks.evaluate import compare
from tasks.provenance import dvc_cache, dvc_lock, withdrawals
from tasks.retrain import drift, gate, worktree
from tasks.retrain.gate import Evaluation, Judgement
from tasks.storage import index
from tasks.storage.table_rows import Rows
from tasks.tracking import registry
from tasks.tracking.registry import CHALLENGER, CHAMPION, Registry, Version

REPORT = paths.REPORTS / "retrain.json"
COLUMNS = ("split", "video", "member_sha256", *drift.COLUMNS)  # of the index
GENERATOR_JSON = paths.GENERATOR.with_suffix(".json")


Step = Callable[[str, Callable[[], Any]], Any]  # (name, work) -> the work's result; e.g. a Prefect task


@dataclass(frozen=True, slots=True)
class Challenger:
    """The result of a reproduction, and its version in the registry if it has one."""

    folder: Path
    remote: bool
    outs: Mapping[str, str]  # path -> md5, of dvc.lock
    version: Version | None  # in the registry, once registered

    def judged(self, p: Params) -> bool:
        """Whether the gate has judged this version; a refusal under other parameters does not count."""
        tags = self.version.tags if self.version else {}
        return tags.get("verdict") == "promoted" or tags.get("gate.sha256") == demands(p)


def demands(p: Params) -> str:
    """A digest of what the gate demands."""
    return config.digest(replace(p.retrain, timeout_h=0.0, notify=[]))


def run(p: Params, step: Step) -> str:
    """All steps of a retraining; returns a summary line.

    Errors: UserError if a step fails; the champion keeps serving.
    """
    with worktree.locked() as lock:
        reproduced: Challenger = step("reproduce", lambda: reproduce(p, lock))
        if reproduced.version and reproduced.judged(p):
            version = reproduced.version
            return f"nothing new: this is version {version.number}, {version.tags['verdict']} before"
        challenger: Challenger = step("enter", lambda: enter(reproduced))
        judgement, moved = step("judge", lambda: judge(challenger, p))
        branch = step("publish", lambda: publish(challenger, judgement, moved))
        line: str = step("conclude", lambda: conclude(challenger, judgement, moved, branch, p))
        return line


def reproduce(p: Params, lock: int) -> Challenger:
    """Bring the work tree up to date with the corpus.

    Errors: UserError if MLflow does not answer (checked first, not after hours of training), or a stage fails.
    """
    models = Registry()
    folder = worktree.prepare(p)
    remote = dvc_cache.has_remote(folder)
    pull = ["--pull"] if remote else []
    if not remote:  # nothing can be pulled later: a stage that runs finds the outputs of those that do not
        programs.ask_dvc("checkout", "--force", "--allow-missing", folder=folder)
    programs.dvc("repro", "--allow-missing", *pull, folder=folder, keep_open=[lock])
    outs = dvc_lock.outs_of(dvc_lock.parse((folder / dvc_lock.LOCK).read_text()))
    same = (each for each in models.versions() if each.tags.get("dvc.md5") == outs[str(paths.GENERATOR)])
    return Challenger(folder, remote, outs, next(same, None))


def enter(challenger: Challenger) -> Challenger:
    """Register the checkpoint as challenger."""
    if not all((challenger.folder / out).exists() for out in challenger.outs):
        programs.ask_dvc("checkout", folder=challenger.folder)  # only needed now that something changed
    digest = config.digest(config.load(challenger.folder / paths.PARAMS))
    commit = programs.demand_git("rev-parse", "HEAD", folder=challenger.folder)
    tags = registry.tags_of(challenger.outs, digest, commit)
    models = Registry()
    version = models.register(tags, models.run_of(tags), challenger.folder / paths.GENERATOR)
    models.set_alias(CHALLENGER, version)
    return replace(challenger, version=version)


def judge(challenger: Challenger, p: Params) -> tuple[Judgement, dict[str, Any]]:
    """The gate's judgement, and the drift of the data since the champion's."""
    serving = Registry().aliased(CHAMPION)
    ours = evaluation(challenger.folder, challenger.outs)
    theirs = champion_evaluation(serving, challenger, ours) if serving else None
    judgement = gate.judge(ours, theirs, findings(challenger), p.retrain)
    before = index_of(serving) if serving else None
    now = index.rows(challenger.folder / paths.INDEX, COLUMNS)
    return judgement, drift.compare(before, now, p.retrain.drift_ks) if before else {}


def evaluation(folder: Path, outs: Mapping[str, str]) -> Evaluation:
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    rows = index.kept(index.rows(folder / paths.INDEX, COLUMNS), "test")
    return Evaluation(
        **_figures(folder),
        clips={row["clip"]: row["member_sha256"] for row in rows},
        method=method(lock),
    )


def method(lock: dict[str, Any]) -> str:
    """What decides an evaluation's figures besides checkpoint and clips: code, parameters, released weights."""
    stage = lock["stages"]["evaluate"]
    own = {dep["path"]: dep["md5"] for dep in stage["deps"] if dep["path"].endswith(".py") or "released" in dep["path"]}
    return json.dumps([own, stage.get("params")], sort_keys=True)


def champion_evaluation(serving: Version, challenger: Challenger, ours: Evaluation) -> Evaluation:
    """The champion's evaluation in its commit, if it used the same method and clips; otherwise measured again here."""
    recorded = _recorded(serving)
    if recorded and recorded.method == ours.method and ours.clips.items() <= recorded.clips.items():
        return recorded
    say(f"retrain: measuring champion version {serving.number} on the current test clips")
    weights = registry.fetch(f"{registry.SCHEME}{registry.NAME}/{serving.number}")
    with _restored(challenger.folder):
        for name in (paths.GENERATOR, GENERATOR_JSON):
            (challenger.folder / name).unlink()  # a link into DVC's cache: never written through
            (challenger.folder / name).write_bytes(weights.with_name(name.name).read_bytes())
        again = ("repro", "--quiet", "--single-item", "--force", "evaluate")
        programs.dvc(*again, variables={"LIPGAN_TRACKING": "off"}, folder=challenger.folder)
        return replace(ours, **_figures(challenger.folder))


@contextmanager
def _restored(folder: Path) -> Iterator[None]:
    """Restore dvc.lock, reports and outs after the block."""
    with tempfile.TemporaryDirectory(dir=paths.cache()) as backup:
        shutil.copytree(folder / paths.REPORTS, Path(backup) / "reports")
        shutil.copyfile(folder / "dvc.lock", Path(backup) / "dvc.lock")
        try:
            yield
        finally:
            shutil.rmtree(folder / paths.REPORTS)
            shutil.copytree(Path(backup) / "reports", folder / paths.REPORTS)
            shutil.copyfile(Path(backup) / "dvc.lock", folder / "dvc.lock")
            programs.ask_dvc("checkout", "--force", folder=folder)


def _figures(folder: Path) -> dict[str, Any]:
    return {
        "panel": json.loads((folder / paths.METRICS).read_text()),
        "by_clip": compare.parse((folder / paths.METRICS_BY_CLIP).read_text()),
    }


def _recorded(serving: Version) -> Evaluation | None:
    commit = serving.tags["git.commit"]
    texts = [programs.git("show", f"{commit}:{name}") for name in ("dvc.lock", paths.METRICS, paths.METRICS_BY_CLIP)]
    table = index_of(serving)
    if table is None or not all(texts):
        return None
    lock, panel, by_clip = (str(text) for text in texts)
    if dvc_lock.out(dvc_lock.parse(lock), paths.GENERATOR) != serving.tags["dvc.md5"]:
        return None
    rows = index.kept(table, "test")
    clips = {row["clip"]: row["member_sha256"] for row in rows}
    return Evaluation(json.loads(panel), compare.parse(by_clip), clips, method(yaml.safe_load(lock)))


def index_of(version: Version) -> Rows | None:
    """The index a version was trained on, from DVC's cache; None if it is no longer there."""
    md5 = version.tags["data.index.md5"]
    path = dvc_cache.place(md5)
    return index.rows(path, COLUMNS) if path.is_file() else None


def findings(challenger: Challenger) -> list[str]:
    """Inconsistencies of bytes and lock, checkpoint and index, index and withdrawals."""
    mismatches = [
        f"{name} does not have the hash of dvc.lock"
        for name in (paths.GENERATOR, GENERATOR_JSON, paths.INDEX)
        if files.md5_file(challenger.folder / name) != challenger.outs[str(name)]
    ]
    trained_on = json.loads((challenger.folder / GENERATOR_JSON).read_text())["lineage"]["index_md5"]
    if trained_on != challenger.outs[str(paths.INDEX)]:
        mismatches.append(f"the generator was trained on index {trained_on}, not on {paths.INDEX}")
    withdrawn = withdrawals.read()
    kept = index.kept(index.rows(challenger.folder / paths.INDEX, COLUMNS))
    in_index = sorted({*kept.column("video")} & withdrawn.keys())
    return [*mismatches, *(f"{video} is withdrawn but still in the index" for video in in_index)]


def publish(challenger: Challenger, judgement: Judgement, moved: dict[str, Any]) -> str:
    """Write the report, commit the branch, and push to the remote, if any.  Errors: UserError if one fails"""
    report = {"checkpoint_md5": challenger.outs[str(paths.GENERATOR)], "gate": judgement.as_dict(), "drift": moved}
    write_atomic(challenger.folder / REPORT, json.dumps(report, indent=2) + "\n")
    verdict = "promoted" if judgement.promoted else "refused"
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    branch = worktree.commit(challenger.folder, f"Retraining: {verdict}\n\n" + "\n".join(judgement.lines()), day)
    if challenger.remote:
        programs.dvc("push", "--quiet", "--run-cache", folder=challenger.folder)
    return branch


def conclude(challenger: Challenger, judgement: Judgement, moved: dict[str, Any], branch: str, p: Params) -> str:
    """Record the verdict in the registry; only here may the champion change. Returns a summary line."""
    models, version = Registry(), challenger.version
    assert version is not None
    commit = programs.demand_git("rev-parse", branch, folder=challenger.folder)
    models.tag(version, {"git.commit": commit, "branch": branch})
    for line in [*judgement.lines(), *(drift.lines(moved) if moved else [])]:
        say(f"retrain:   {line}")
    if judgement.promoted:
        models.promote(version, judgement.sentence())
        return f"version {version.number} is champion now; branch {branch}"
    refusal = {"verdict": "refused", "reasons": judgement.sentence(), "gate.sha256": demands(p)}
    models.tag(version, refusal)
    serving = models.aliased(CHAMPION)
    still = f"version {serving.number} keeps serving" if serving else "no version serves"
    return f"version {version.number} was refused: {judgement.sentence()}; {still}; branch {branch}"
