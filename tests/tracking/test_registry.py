"""What serves: aliases in a real MLflow store, moved by promotion, rollback and withdrawal, and nothing else."""

import hashlib
import shutil

import pytest

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.provenance import dvc_cache
from tasks.tracking import registry
from tasks.tracking import runs as tracking
from tasks.tracking.registry import CANDIDATE, CHALLENGER, CHAMPION, Registry


@pytest.fixture
def store(workspace, empty_store, monkeypatch):
    shutil.copy(empty_store, workspace / "mlflow.db")
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace / 'mlflow.db'}")
    return workspace


def tags(number, index="i"):
    return {
        "dvc.md5": hashlib.md5(f"weights {number}".encode()).hexdigest(),
        "dvc.json.md5": hashlib.md5(f"about {number}".encode()).hexdigest(),
        "data.index.md5": index,
        "git.commit": "0" * 40,
    }


def versions(known, count, index="i"):
    return [known.register(tags(number, index)) for number in range(count)]


def serving(known):
    version = known.aliased(CHAMPION)
    return version.number if version else None


def test_a_checkpoint_is_registered_only_once(store):
    known = Registry()
    first = known.register(tags(1))
    assert known.register(tags(1)).number == first.number and known.register(tags(2)).number != first.number
    assert [version.number for version in known.versions()] == ["2", "1"]


def test_promotion_and_rollback_move_the_champion_there_and_back_and_say_why(store):
    known = Registry()
    one, two, three = versions(known, 3)
    for version in (one, two, three):
        known.set_alias(CHALLENGER, version)
        known.promote(version, "better")
    assert serving(known) == "3" and known.aliased(CHALLENGER) is None
    bad, now = known.rollback("late")
    assert (bad.number, now.number, serving(known)) == ("3", "2", "2")
    assert known.version("3").tags["rolled_back"] == "late" and known.version("2").tags["reasons"] == "better"
    known.rollback("late too")
    assert serving(known) == "1"
    with pytest.raises(UserError, match="no previous champion"):
        known.rollback("also late")
    assert serving(known) == "1"


def test_a_rollback_skips_versions_that_were_rolled_back(store):
    known = Registry()
    one, two, three = versions(known, 3)
    known.promote(one, "first")
    known.promote(two, "second")
    known.rollback("late")
    known.promote(three, "third")
    assert known.rollback("later")[1].number == "1"


def test_versions_trained_on_a_withdrawn_video_lose_their_alias_and_never_serve_again(store):
    known = Registry()
    saw = known.register(tags(1, index="with"))
    clean = known.register(tags(2, index="without"))
    known.promote(clean, "ok")
    known.promote(saw, "better")
    with tracking.connect().start_run(tags={"data.index.md5": "with"}) as run:
        pass
    said = registry.retire("person", {"with"})
    assert "1 runs and 1 versions" in said and "champion: none" in said
    assert serving(known) is None and known.version(saw.number).tags["withdrawn"] == "person"
    assert tracking.connect().get_run(run.info.run_id).data.tags["withdrawn"] == "person"
    with pytest.raises(UserError, match="is retired: trained on person, withdrawn since"):
        registry.fetch(f"models:/lipgan/{saw.number}")
    assert not known.version(clean.number).tags.get("withdrawn")


def test_the_champions_bytes_come_from_the_dvc_cache_and_are_checked(store):
    version = Registry().register(tags(1))
    Registry().promote(version, "first")
    for text, name in (("weights 1", "dvc.md5"), ("about 1", "dvc.json.md5")):
        md5 = version.tags[name]
        dvc_cache.place(md5).parent.mkdir(parents=True)
        dvc_cache.place(md5).write_text(text)
    path = registry.fetch("models:/lipgan@champion")
    assert path.read_text() == "weights 1" and path.with_suffix(".json").read_text() == "about 1"
    shutil.rmtree(paths.cache() / "served")
    dvc_cache.place(md5).write_text("about 2")
    with pytest.raises(UserError, match="md5 is not the registry"):
        registry.fetch("models:/lipgan@champion")
    assert not list((paths.cache() / "served").iterdir())


ADDRESSES = ["models:/lipgan@champion", "models:/lipgan/7", "models:/other@champion"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_where_nothing_is_registered_the_line_names_files_that_can_be_used(store, address):
    with pytest.raises(UserError, match=r"none is registered in .*; `python -m flows demo` registers .* released`"):
        registry.fetch(address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_unknown_address_names_versions_that_exist(store, address):
    version = Registry().register(tags(1))
    Registry().set_alias(CANDIDATE, version)
    with pytest.raises(UserError, match=r"no such version; known: models:/lipgan@candidate, models:/lipgan/1; none is"):
        registry.fetch(address)
    Registry().promote(version, "better")
    assert Registry().aliased(CANDIDATE) is None
    with pytest.raises(UserError, match=r"known: models:/lipgan@champion, models:/lipgan/1$"):
        registry.fetch("models:/lipgan@nobody")


def test_asking_for_a_champion_makes_no_store(workspace, monkeypatch):
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace / 'mlflow.db'}")
    with pytest.raises(UserError, match="no MLflow store at"):
        registry.fetch("models:/lipgan@champion")
    assert not (workspace / "mlflow.db").exists()


def test_a_store_that_does_not_answer_is_one_line(workspace, monkeypatch):
    monkeypatch.setenv("LIPGAN_TRACKING", "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match="does not answer"):
        Registry()
    monkeypatch.setenv("LIPGAN_TRACKING", "off")
    with pytest.raises(UserError, match="LIPGAN_TRACKING"):
        Registry()
