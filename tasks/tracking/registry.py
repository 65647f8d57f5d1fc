"""The model registry in MLflow: which checkpoint serves, by the aliases `champion` and `challenger`, and why, by tags.

The demo's checkpoint is the `candidate`, which no gate has judged. A version refers to its checkpoint by the md5 in
DVC's cache and by the commit whose dvc.lock has it; the copy of the weights in MLflow, for `mlflow.pyfunc`, is deleted
when a version is retired (tasks/tracking/served.py). Its tags:

dvc.md5, dvc.json.md5      of generator.safetensors and generator.json
git.commit, data.index.md5 of the training
verdict, reasons           of the gate: promoted or refused
previous                   version that was champion before it
withdrawn                  training videos that were withdrawn since: it never serves again
rolled_back                why it no longer serves
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.core import files, paths, programs
from tasks.core.errors import UserError
from tasks.core.files import all_or_nothing
from tasks.provenance import dvc_cache
from tasks.tracking import jsonl, naming, served
from tasks.tracking import runs as tracking

NAME = "lipgan"
CHAMPION, CHALLENGER, CANDIDATE = "champion", "challenger", "candidate"
SCHEME = "models:/"
MAX_NAMED = 3  # versions suggested by an error
NONE_YET = (
    f"`python -m flows demo` registers a {CANDIDATE}, `python -m flows retrain` promotes a {CHAMPION}; until then name "
    f"a file: --checkpoint {paths.GENERATOR}, or `--checkpoint released`"
)


@dataclass(frozen=True, slots=True)
class Version:
    number: str
    tags: Mapping[str, str]

    @property
    def may_serve(self) -> bool:
        return not (self.tags.get("withdrawn") or self.tags.get("rolled_back"))


class Registry:
    """Client of the registry.  Errors: UserError if the store does not answer"""

    def __init__(self) -> None:
        self._mlflow = tracking.demand()
        self._client = self._mlflow.MlflowClient()

    def register(self, tags: Mapping[str, str], run_id: str | None = None, weights: Path | None = None) -> Version:
        """The version of a checkpoint, by its `dvc.md5`; created if there is none.

        weights  the checkpoint, of which `mlflow.pyfunc` gets a copy
        """
        for version in self.versions():
            if version.tags.get("dvc.md5") == tags["dvc.md5"]:
                return version
        if not self._client.search_registered_models(f"name='{NAME}'"):
            about = (
                "LipGAN's generator: face crops and sound in, lip-synced crops out. Load it with mlflow.pyfunc, or dub "
                "with `python -m flows dub --checkpoint models:/lipgan@champion`. DVC has the weights, by dvc.md5."
            )
            self._client.create_registered_model(NAME, description=about)
        model = self._mlflow.initialize_logged_model(name=NAME, source_run_id=run_id, params=dict(tags))
        if weights:
            with tempfile.TemporaryDirectory() as scratch:
                served.log(self._mlflow, model.model_id, weights, Path(scratch))
        self._mlflow.finalize_logged_model(model.model_id, "READY")
        created = self._client.create_model_version(
            NAME, f"{SCHEME}{model.model_id}", run_id, tags=dict(tags), model_id=model.model_id,
            description=self._client.get_run(run_id).data.tags.get(naming.NOTE) if run_id else None,
        )  # fmt: skip
        return self.version(created.version)

    def register_candidate(self, tags: Mapping[str, str], weights: Path) -> Version:
        """The version of a checkpoint that no gate has judged, by the alias `candidate`; it does not serve."""
        version = self.register(tags, self.run_of(tags), weights)
        self.set_alias(CANDIDATE, version)
        return version

    def versions(self) -> list[Version]:
        """Newest first."""
        versions = self._client.search_model_versions(f"name='{NAME}'", max_results=10_000)
        return sorted((self.version(each.version) for each in versions), key=lambda v: -int(v.number))

    def version(self, number: str) -> Version:
        version = self._client.get_model_version(NAME, str(number))
        return Version(str(version.version), dict(version.tags))

    def aliased(self, alias: str) -> Version | None:
        models = self._client.search_registered_models(f"name='{NAME}'")
        number = next((number for model in models for name, number in model.aliases.items() if name == alias), None)
        return self.version(number) if number else None

    def usable(self) -> str:
        """What a user can name instead of a version that does not exist."""
        serving = [version for version in self.versions() if version.may_serve]
        if not serving:
            return f"none is registered in {tracking.store()}; {NONE_YET}"
        aliases = [alias for alias in (CHAMPION, CHALLENGER, CANDIDATE) if self.aliased(alias)]
        known = [f"{SCHEME}{NAME}@{alias}" for alias in aliases]
        known += [f"{SCHEME}{NAME}/{version.number}" for version in serving[:MAX_NAMED]]
        promoted = "" if CHAMPION in aliases else "; none is champion yet: `python -m flows retrain` promotes one"
        return f"known: {', '.join(known)}{promoted}"

    def set_alias(self, alias: str, version: Version | None) -> None:
        if version:
            self._client.set_registered_model_alias(NAME, alias, version.number)
        elif self.aliased(alias):
            self._client.delete_registered_model_alias(NAME, alias)

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        for name, value in tags.items():
            self._client.set_model_version_tag(NAME, version.number, name, value)

    def run_of(self, tags: Mapping[str, str]) -> str | None:
        """The newest run that trained with these parameters on this index."""
        run_tags = {"stage": "train", **{name: tags[name] for name in ("data.index.md5", "params.sha256")}}
        experiment = self._client.get_experiment_by_name(tracking.EXPERIMENT)
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in run_tags.items())
        runs = self._client.search_runs([experiment.experiment_id], query, max_results=1)
        return runs[0].info.run_id if runs else None

    def runs_on(self, index_md5: str) -> list[str]:
        """Ids of the runs that trained on an index or were evaluated with it."""
        experiment = self._client.get_experiment_by_name(tracking.EXPERIMENT)
        runs = self._client.search_runs([experiment.experiment_id], f"tags.`data.index.md5` = '{index_md5}'")
        return [run.info.run_id for run in runs]

    def retire(self, version: Version, video: str) -> None:
        """After the withdrawal of a training video: the version loses its aliases and never serves again."""
        videos = {*version.tags.get("withdrawn", "").split(), video}
        self.tag(version, {"withdrawn": " ".join(sorted(videos))})
        self._delete_weights(version)
        for alias in (CHAMPION, CHALLENGER, CANDIDATE):
            if (now := self.aliased(alias)) and now.number == version.number:
                self.set_alias(alias, None)

    def _delete_weights(self, version: Version) -> None:
        """The copy for `mlflow.pyfunc`: it would load without asking whether the version may serve."""
        source = self._client.get_model_version(NAME, version.number).source
        place = self._mlflow.get_logged_model(source.removeprefix(SCHEME)).artifact_location
        tracking.delete_files(place, ("artifacts",))

    def retire_run(self, run_id: str, video: str) -> None:
        videos = {*self._client.get_run(run_id).data.tags.get("withdrawn", "").split(), video}
        self._client.set_tag(run_id, "withdrawn", " ".join(sorted(videos)))

    def delete_pictures(self, run_id: str) -> int:
        """Delete a run's files that show faces; returns the number of folders deleted."""
        return tracking.delete_files(self._client.get_run(run_id).info.artifact_uri, ("images", "reports"))

    def promote(self, version: Version, reasons: str) -> None:
        """Make a version champion; the previous one is recorded for `rollback`."""
        before = self.aliased(CHAMPION)
        self.tag(version, {"previous": before.number if before else "", "verdict": "promoted", "reasons": reasons})
        self.set_alias(CHAMPION, version)
        self.set_alias(CHALLENGER, None)
        if (candidate := self.aliased(CANDIDATE)) and candidate.number == version.number:
            self.set_alias(CANDIDATE, None)

    def rollback(self, reason: str) -> tuple[Version, Version]:
        """Return to the last previous champion that may serve: (the version that served, the one that does now).

        Errors: UserError if there is none.
        """
        current = self.aliased(CHAMPION)
        if current is None:
            raise UserError("there is no champion to roll back from; `python -m flows retrain` makes one")
        previous, visited = current, {current.number}
        while previous.number in visited or not previous.may_serve:
            visited.add(previous.number)
            if not (number := previous.tags.get("previous")) or number in visited:
                raise UserError(f"version {current.number} has no previous champion that may serve; it keeps serving")
            previous = self.version(number)
        self.tag(current, {"rolled_back": reason})
        self.set_alias(CHAMPION, previous)
        return current, previous


def retire(video: str, indexes: set[str]) -> str:
    """Mark every run and version that was trained on one of the indexes; returns a summary line."""
    if not tracking.uses_mlflow():
        return "MLflow is off (LIPGAN_TRACKING): no checkpoint was marked; run again with it on"
    if not tracking.has_store():
        return f"no MLflow store at {tracking.store()}: no checkpoint to mark"
    registry = Registry()
    runs = sorted({run for index in indexes for run in registry.runs_on(index)})
    versions = [version for version in registry.versions() if version.tags.get("data.index.md5") in indexes]
    for run in runs:
        registry.retire_run(run, video)
    for version in versions:
        registry.retire(version, video)
    serving = registry.aliased(CHAMPION)
    marked = f"{len(runs)} runs and {len(versions)} versions trained on {video} are marked and no longer serve"
    return f"{marked}; champion: {f'version {serving.number}' if serving else 'none, until the next `retrain`'}"


def delete_pictures(indexes: set[str]) -> int:
    """Delete the pictures of runs on these indexes, in MLflow and in files; returns the number of folders deleted."""
    number = jsonl.delete_pictures(indexes)
    if not indexes or not tracking.uses_mlflow() or not tracking.has_store():
        return number
    registry = Registry()
    return number + sum(registry.delete_pictures(run) for index in sorted(indexes) for run in registry.runs_on(index))


def tags_of(md5s: Mapping[str, str], params_sha256: str, commit: str) -> dict[str, str]:
    """A version's tags.  md5s: path -> md5 of checkpoint, description and index, as in dvc.lock"""
    return {
        "dvc.md5": md5s[str(paths.GENERATOR)],
        "dvc.json.md5": md5s[str(paths.GENERATOR.with_suffix(".json"))],
        "data.index.md5": md5s[str(paths.INDEX)],
        "params.sha256": params_sha256,
        "git.commit": commit,
    }


def path_of(checkpoint: str) -> str:
    """The path of a checkpoint given as a path or as models:/lipgan@champion."""
    return str(fetch(checkpoint)) if checkpoint.startswith(SCHEME) else checkpoint


def fetch(address: str) -> Path:
    """The checkpoint of models:/lipgan@champion or models:/lipgan/3, from DVC's cache or remote.

    Errors: UserError if there is no such version, it may not serve, or its bytes are not available.
    """
    name = address.removeprefix(SCHEME)
    if tracking.uses_mlflow() and not tracking.has_store():  # connecting would make an empty one
        raise UserError(f"--checkpoint: {address}: no MLflow store at {tracking.store()}; {NONE_YET}")
    registry = Registry()
    if name.startswith(f"{NAME}@"):
        version = registry.aliased(name.removeprefix(f"{NAME}@"))
    else:
        number = name.removeprefix(f"{NAME}/")
        version = next((each for each in registry.versions() if each.number == number), None)
    if version is None:
        raise UserError(f"--checkpoint: {address}: no such version; {registry.usable()}")
    if not version.may_serve:
        reason = version.tags.get("rolled_back") or f"trained on {version.tags['withdrawn']}, withdrawn since"
        raise UserError(f"--checkpoint: {address}: version {version.number} is retired: {reason}")
    folder = paths.cache() / "served" / version.tags["dvc.md5"]
    if not folder.is_dir():
        with all_or_nothing(folder) as partial:
            partial.mkdir()
            for path, tag in ((paths.GENERATOR, "dvc.md5"), (paths.GENERATOR.with_suffix(".json"), "dvc.json.md5")):
                _fetch_one(path, version.tags[tag], version.tags["git.commit"], partial / path.name)
    return folder / paths.GENERATOR.name


def _fetch_one(path: Path, md5: str, commit: str, target: Path) -> None:
    cached = dvc_cache.place(md5)
    if cached.is_file():
        shutil.copyfile(cached, target)
    else:
        programs.ask_dvc("get", str(paths.main_repository()), str(path), "--rev", commit, "--out", str(target))
    if files.md5_file(target) != md5:
        raise UserError(f"{path} of commit {commit[:12]}: md5 is not the registry's ({md5}); run `dvc fetch`")
