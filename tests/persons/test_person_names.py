"""Names of persons, and the files of a library: what a studio writes, and what goes wrong."""

import json
import os

import pytest

from tasks.core.errors import UserError
from tasks.persons import store
from tasks.persons.store import Person


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def saved(name):
    person = Person(store.checked(name), own=True)
    person.save()
    return person


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "no letter"), ("  ", "no letter"), ("...", "no letter"), ("films/anna", "'/' in it"),
        ("..\\anna", "in it"),
        ("C:anna", "':' in it"), ("an\nna\0", "in it"), ("a" * 81, "81 letters"), ("\udce9a", "in it"),
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused_in_one_line(name, why):
    with pytest.raises(UserError, match=why) as error:
        store.checked(name)
    assert "\n" not in str(error.value)
    str(error.value).encode()


@pytest.mark.parametrize("name", ["Anna Berg", "Ånna", "张伟", "O'Neil, Jr.", "anna-berg", "Müller  2"])
def test_any_other_name_is_kept_as_it_is_written(name):
    person = saved(name)
    assert store.find(name) == person and person.name == " ".join(name.split())
    assert person.folder.parent == store.paths.PERSONS and person.folder.name.isascii()


def test_one_name_in_two_spellings_of_unicode_is_one_person():
    person = saved("Zoe\u0308")
    assert store.find("Zo\u00eb") == person


def test_names_that_differ_in_case_are_not_two_persons():
    saved("Anna")
    with pytest.raises(UserError, match="differs only in case from 'Anna'"):
        store.new("ANNA")
    with pytest.raises(UserError, match="the name is written 'Anna'"):
        store.find("anna")


def test_a_person_who_is_not_there_is_answered_with_the_nearest_name():
    with pytest.raises(UserError, match="person add"):
        store.find("Ann")
    saved("Anna")
    with pytest.raises(UserError, match="known: Anna"):
        store.find("Ann")


def test_a_person_gets_another_name_but_not_one_that_is_taken():
    saved("Anna"), saved("Ben")
    with pytest.raises(UserError, match="of this name already: Ben"):
        store.rename("Anna", "BEN")
    assert store.rename("Anna", "Anne").name == "Anne"
    assert store.rename("Anne", "ANNE").name == "ANNE"
    assert [person.name for person in store.every()] == ["ANNE", "Ben"]


def test_a_damaged_library_is_named():
    folder = saved("Anna").folder
    for text in ("{", "[]", json.dumps({"name": "Anna"})):
        (folder / store.ABOUT).write_text(text)
        with pytest.raises(UserError, match=str(folder / store.ABOUT)):
            store.find("Anna")


def test_a_command_that_makes_nothing_leaves_no_folder():
    with store.alone("Anna"):
        pass
    assert not os.listdir(store.paths.PERSONS)


def test_two_commands_do_not_change_a_person_at_once():
    with store.alone("Anna"), pytest.raises(UserError, match="another command"), store.alone("anna"):
        pass
