"""Retraining: new data -> `dvc repro` -> the gate -> a branch, and a new champion if it deserves it.

    python -m flows retrain

reads   the repository at HEAD, or at the newest retraining built on it; the corpus as it is now
writes  branch retrain/<date>-<n> with dvc.lock and reports/; reports/retrain.json in it; MLflow's aliases
keeps   .cache/retrain, its work tree

What serves changes last: whatever fails before leaves the old champion serving, and the next run begins where the work
was lost. What was trained is in DVC's run-cache by then, and is not trained again.
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
from tasks.storage.index import Row
from tasks.tracking import registry
from tasks.tracking.registry import CHALLENGER, CHAMPION, Registry, Version

REPORT = paths.REPORTS / "retrain.json"
GENERATOR_JSON = paths.GENERATOR.with_suffix(".json")


Step = Callable[[str, Callable[[], Any]], Any]  # name, work -> what the work returns; somebody may watch


@dataclass(frozen=True, slots=True)
class Challenger:
    """What a reproduction made, and whether the gate has seen it before."""

    folder: Path
    remote: bool
    outs: Mapping[str, str]  # path -> md5, of dvc.lock
    version: Version | None  # in the registry, once it is there

    def judged(self, p: Params) -> bool:
        """A refusal by other demands than those of now does not count."""
        tags = self.version.tags if self.version else {}
        return tags.get("verdict") == "promoted" or tags.get("gate.sha256") == config.digest(p.retrain)


def run(p: Params, step: Step, variables: Mapping[str, str]) -> str:
    """The whole of it, step by step; one line for people. `variables` are for `dvc repro` and its stages.

    Errors: UserError where a step fails; what served goes on serving.
    """
    with worktree.alone() as lock:
        made: Challenger = step("reproduce", lambda: reproduce(p, lock, variables))
        if made.version and made.judged(p):
            return f"nothing new: this is version {made.version.number}, {made.version.tags['verdict']} before"
        entered: Challenger = step("enter", lambda: enter(made))
        judgement, moved = step("judge", lambda: judge(entered, p))
        branch = step("publish", lambda: publish(entered, judgement, moved))
        said: str = step("conclude", lambda: conclude(entered, judgement, moved, branch, p))
        return said


def reproduce(p: Params, lock: int, variables: Mapping[str, str]) -> Challenger:
    """Bring the work tree up to date with the corpus.

    Errors: UserError where MLflow does not answer (asked first, not after hours of training), or a stage fails.
    """
    known = Registry()
    folder = worktree.prepare(p)
    remote = dvc_cache.has_remote(folder)
    pull = ["--pull"] if remote else []
    programs.dvc("repro", "--allow-missing", *pull, variables=variables, folder=folder, keep_open=[lock])
    outs = dvc_lock.outs_of(dvc_lock.parse((folder / dvc_lock.LOCK).read_text()))
    same = (each for each in known.versions() if each.tags.get("dvc.md5") == outs[str(paths.GENERATOR)])
    return Challenger(folder, remote, outs, next(same, None))


def enter(made: Challenger) -> Challenger:
    """Into the registry, as challenger."""
    if not all((made.folder / out).exists() for out in made.outs):
        programs.ask_dvc("checkout", folder=made.folder)  # not needed to tell that nothing changed, but needed now
    tags = {
        "dvc.md5": made.outs[str(paths.GENERATOR)],
        "dvc.json.md5": made.outs[str(GENERATOR_JSON)],
        "data.index.md5": made.outs[str(paths.INDEX)],
        "params.sha256": config.digest(config.load(made.folder / paths.PARAMS)),
        "git.commit": programs.demand_git("rev-parse", "HEAD", folder=made.folder),
    }
    known = Registry()
    version = known.register(tags, known.run_of(tags))
    known.set_alias(CHALLENGER, version)
    return replace(made, version=version)


def judge(made: Challenger, p: Params) -> tuple[Judgement, dict[str, Any]]:
    """The gate's judgement, and how the data moved since the champion's."""
    serving = Registry().aliased(CHAMPION)
    ours = evaluation(made.folder, made.outs)
    theirs = champion_evaluation(serving, made, ours) if serving else None
    judgement = gate.judge(ours, theirs, findings(made), p.retrain)
    before = index_of(serving) if serving else None
    moved = drift.compare(before, index.read(made.folder / paths.INDEX), p.retrain.drift_ks) if before else {}
    return judgement, moved


def evaluation(folder: Path, outs: Mapping[str, str]) -> Evaluation:
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    rows = index.kept(index.read(folder / paths.INDEX), "test")
    return Evaluation(
        **_figures(folder),
        clips={row["clip"]: row["member_sha256"] for row in rows},
        method=method(lock),
    )


def method(lock: dict[str, Any]) -> str:
    """What decides an evaluation's figures beside the checkpoint and the clips: code, parameters, landmarks."""
    stage = lock["stages"]["evaluate"]
    own = {
        dep["path"]: dep["md5"] for dep in stage["deps"] if dep["path"].endswith(".py") or "landmarks" in dep["path"]
    }
    return json.dumps([own, stage.get("params")], sort_keys=True)


def champion_evaluation(serving: Version, made: Challenger, ours: Evaluation) -> Evaluation:
    """As its commit recorded it, if it was measured the same way on every clip; otherwise measured again, here."""
    recorded = _recorded(serving)
    if recorded and recorded.method == ours.method and ours.clips.items() <= recorded.clips.items():
        return recorded
    say(f"retrain: measuring champion version {serving.number} on the test clips of now")
    weights = registry.fetch(f"{registry.SCHEME}{registry.NAME}/{serving.number}")
    with _put_back(made.folder):
        for name in (paths.GENERATOR, GENERATOR_JSON):
            (made.folder / name).unlink()  # a link into DVC's cache: never written through
            (made.folder / name).write_bytes(weights.with_name(name.name).read_bytes())
        again = ("repro", "--quiet", "--single-item", "--force", "evaluate")
        programs.dvc(*again, variables={"LIPGAN_TRACKING": "off"}, folder=made.folder)
        return replace(ours, **_figures(made.folder))


@contextmanager
def _put_back(folder: Path) -> Iterator[None]:
    """What the block changes of dvc.lock, reports and outs is as it was afterwards."""
    with tempfile.TemporaryDirectory(dir=paths.cache()) as kept:
        shutil.copytree(folder / paths.REPORTS, Path(kept) / "reports")
        shutil.copyfile(folder / "dvc.lock", Path(kept) / "dvc.lock")
        try:
            yield
        finally:
            shutil.rmtree(folder / paths.REPORTS)
            shutil.copytree(Path(kept) / "reports", folder / paths.REPORTS)
            shutil.copyfile(Path(kept) / "dvc.lock", folder / "dvc.lock")
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


def index_of(version: Version) -> list[Row] | None:
    """The index a version was trained on, from DVC's cache; None where it is not there any more."""
    md5 = version.tags["data.index.md5"]
    path = dvc_cache.place(md5)
    return index.read(path) if path.is_file() else None


def findings(made: Challenger) -> list[str]:
    """What does not fit: bytes and lock, checkpoint and index, index and withdrawals."""
    found = [
        f"{name} is not what dvc.lock names"
        for name in (paths.GENERATOR, GENERATOR_JSON, paths.INDEX)
        if files.md5_file(made.folder / name) != made.outs[str(name)]
    ]
    trained_on = json.loads((made.folder / GENERATOR_JSON).read_text())["lineage"]["index_md5"]
    if trained_on != made.outs[str(paths.INDEX)]:
        found.append(f"the generator was trained on index {trained_on}, not on the one beside it")
    withdrawn = withdrawals.read()
    there = sorted({row["video"] for row in index.kept(index.read(made.folder / paths.INDEX))} & withdrawn.keys())
    return [*found, *(f"{video} has withdrawn and is in the index" for video in there)]


def publish(made: Challenger, judgement: Judgement, moved: dict[str, Any]) -> str:
    """The report, the branch, and the push to where there is a remote.  Errors: UserError where one fails."""
    report = {"checkpoint_md5": made.outs[str(paths.GENERATOR)], "gate": judgement.as_dict(), "drift": moved}
    write_atomic(made.folder / REPORT, json.dumps(report, indent=2) + "\n")
    verdict = "promoted" if judgement.promoted else "refused"
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    branch = worktree.commit(made.folder, f"Retraining: {verdict}\n\n" + "\n".join(judgement.lines()), day)
    if made.remote:
        programs.dvc("push", "--quiet", "--run-cache", folder=made.folder)
    return branch


def conclude(made: Challenger, judgement: Judgement, moved: dict[str, Any], branch: str, p: Params) -> str:
    """The verdict into the registry; with it, and only here, what serves may change. One line for people."""
    known, version = Registry(), made.version
    assert version is not None
    commit = programs.demand_git("rev-parse", branch, folder=made.folder)
    known.tag(version, {"git.commit": commit, "branch": branch})
    for line in [*judgement.lines(), *(drift.lines(moved) if moved else [])]:
        say(f"retrain:   {line}")
    if judgement.promoted:
        known.promote(version, judgement.sentence())
        return f"version {version.number} is champion now; branch {branch}"
    refusal = {"verdict": "refused", "reasons": judgement.sentence(), "gate.sha256": config.digest(p.retrain)}
    known.tag(version, refusal)
    serving = known.aliased(CHAMPION)
    still = f"version {serving.number} goes on serving" if serving else "nothing serves"
    return f"version {version.number} was refused: {judgement.sentence()}; {still}; branch {branch}"
