"""A list of persons and splits, in place of the hash rule: what it decides, and one line for each fault in it."""

from pathlib import Path

import pytest
from conftest import params_text, run_acquire
from hypothesis import given
from hypothesis import strategies as st
from test_acquire_folder import FOLDER, load, table, write_video

from tasks.acquire import split_list
from tasks.acquire import stage as acquire
from tasks.core import paths
from tasks.core.errors import UserError
from tasks.provenance import withdrawals

PERSONS = {"anna", "ben", "carl"}
LISTED = "person,split\nanna,test\nben,train\ncarl,val\n"


@pytest.fixture
def people(workspace):
    """Two videos of each person, and a list."""
    for number, person in enumerate(sorted(PERSONS)):
        for take in range(2):
            write_video(workspace / f"videos/{person}/{take}.mp4", 40 * number + 10 * take + 5)
    (workspace / "params.yaml").write_text(params_text(FOLDER | {"corpus.splits": "who.csv"}))
    (workspace / "who.csv").write_text(LISTED)
    return workspace


def split_of_person():
    return {row["person"]: row["split"] for row in table().values()}


def test_every_clip_is_in_the_split_that_the_list_names_for_its_person(people, capsys):
    run_acquire(load())
    assert split_of_person() == {"anna": "test", "ben": "train", "carl": "val"}
    assert {row["split_by"] for row in table().values()} == {"person"}
    line = "split by person, as who.csv lists them: train 2 clips of person ben; val 2 clips of person carl; test 2"
    assert line in capsys.readouterr().err


def test_another_list_moves_persons_and_nothing_else(people):
    run_acquire(load())
    before = table()
    Path("who.csv").write_text(LISTED.replace("anna,test\nben,train", "anna,train\nben,test"))
    run_acquire(load())
    assert split_of_person() == {"anna": "train", "ben": "test", "carl": "val"}
    assert {name: row["source_sha256"] for name, row in table().items()} == {
        name: row["source_sha256"] for name, row in before.items()
    }


def test_a_list_without_rows_leaves_the_choice_to_the_rule(people, capsys):
    Path("who.csv").write_text("person,split\n")
    run_acquire(load())
    listed = capsys.readouterr().err
    (people / "params.yaml").write_text(params_text(FOLDER))  # splits.csv, which is not here
    by_rule = split_of_person()
    run_acquire(load())
    assert split_of_person() == by_rule and "by the hash of its name" in listed


def test_a_withdrawn_person_may_stay_in_the_list_or_leave_it(people):
    for take in range(2):
        withdrawals.add(f"carl-{take}", "2026-01-01", "")
    for text in (LISTED, LISTED.replace("carl,val\n", "")):
        Path("who.csv").write_text(text)
        run_acquire(load())
        kept = {row["person"]: row["split"] for row in table().values() if row["status"] == "kept"}
        assert kept == {"anna": "test", "ben": "train"}


def test_a_person_who_joins_the_corpus_has_to_be_listed(people):
    write_video(people / "videos/dora/0.mp4", 200)
    with pytest.raises(UserError, match=r"^who\.csv: no split for dora; add lines such as `dora,train`$"):
        acquire.plan(load())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LISTED + "dora,train\n", "line 5: the corpus has no person 'dora', only anna, ben, carl; correct or remove"),
        (LISTED + "anna,train\n", "line 5: anna is in train, and in test above; keep one of the lines"),
        (LISTED.replace("val", "dev"), "line 4: 'dev' is no split; wanted train, val, test"),
        (LISTED.replace("carl,val\n", ""), "no split for carl; add lines such as `carl,train`"),
        (LISTED.replace("train", "val"), "nobody is in train: nothing is left to train on"),
        (LISTED + "ben\n", "line 5 must be person,split, got 'ben'"),
        (LISTED + "ben,\n", "line 5 must be person,split, got 'ben,'"),
        ("anna,test\n", "the first line must be person,split, got 'anna,test'"),
        ("", "the first line must be person,split, got ''"),
        (LISTED + '"ben', "not a CSV file in UTF-8: unexpected end of data"),
    ],
)
def test_a_fault_of_the_list_is_one_line(tmp_path, text, message):
    (tmp_path / "who.csv").write_text(text)
    with pytest.raises(UserError) as error:
        split_list.read(tmp_path / "who.csv", PERSONS)
    assert str(error.value).startswith(f"{tmp_path}/who.csv: {message}") and "\n" not in str(error.value)


def test_a_list_that_is_not_there_is_one_line_and_the_default_may_be_missing(workspace):
    with pytest.raises(UserError, match=r"corpus\.splits: who\.csv: No such file or directory"):
        split_list.read(Path("who.csv"), PERSONS)
    assert split_list.read(paths.SPLITS, PERSONS) == {}


def test_spaces_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    (tmp_path / "who.csv").write_text("\ufeffperson, split\n\nanna , test\nben,train\r\ncarl,val\n\nanna,test\n")
    assert split_list.read(tmp_path / "who.csv", PERSONS) == {"anna": "test", "ben": "train", "carl": "val"}


@given(st.one_of(st.binary(max_size=80), st.text(max_size=60).map(lambda text: f"person,split\n{text}".encode())))
def test_any_bytes_are_a_list_or_one_line(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(content)
    try:
        assert set(split_list.read(file, PERSONS)) <= PERSONS
    except UserError as error:
        assert len(str(error).splitlines()) == 1
