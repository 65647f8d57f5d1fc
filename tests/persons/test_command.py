"""The command line of persons."""

import pytest

from flows import cli
from tasks.core.errors import UserError
from tasks.persons import store
from tasks.persons.store import Consent, Person


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words):
    args = cli.parser("lipgan").parse_args(["person", *words])
    return args.run(args)


def test_the_list_names_persons_with_their_consent(capfd):
    run("list")
    assert "no person is kept here yet" in capfd.readouterr().err
    Person("Anna", own=True).save()
    Person("Ben", own=False, consent=[Consent("ben.pdf", "ab" * 32, "2026-11-30")]).save()
    run("list")
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["Anna", "Ben"]
    assert "own footage" in lines[0] and "ben.pdf of 2026-11-30, sha256 abababababab" in lines[1]


def test_a_person_is_renamed_and_removed(capfd):
    Person("Anna", own=True).save()
    run("rename", "Anna", "--to", "Anna Berg")
    assert store.find("Anna Berg").name == "Anna Berg"
    run("remove", "Anna Berg")
    assert store.every() == [] and not list(store.paths.PERSONS.iterdir())


def test_a_person_without_footage_is_shown_and_cannot_be_adapted(capfd):
    Person("Anna", own=True).save()
    run("show", "Anna")
    assert capfd.readouterr().out.startswith("Anna: 0.0 minutes in 0 videos\nconsent: own footage\n")
    with pytest.raises(UserError, match="person Anna: 0 pieces of footage with their voice, 0 s; adapting needs 10"):
        run("adapt", "Anna")


def test_a_place_in_the_picture_is_of_one_video():
    with pytest.raises(UserError, match="--speaker x,y@seconds is of one video"):
        run("add", "Anna", "a.mp4", "b.mp4", "--own", "--speaker", "10,20@1")


@pytest.mark.parametrize("words", [["--person", "Anna"], ["--person", "A", "--video", "b", "--reason", "c"], []])
def test_a_withdrawal_names_one_thing_and_a_reason(words):
    args = cli.parser("lipgan").parse_args(["withdraw", *words])
    with pytest.raises(UserError, match="give --video or --person, and --reason"):
        args.run(args)
