import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core import files, names
from tasks.core.errors import UserError

LATIN_1 = os.fsdecode(b"caf\xe9.mp4")


def test_a_byte_that_is_not_utf_8_is_shown_as_its_number():
    assert names.valid(LATIN_1) == "caf\\xe9.mp4"
    assert names.valid({LATIN_1: [LATIN_1, 1, None]}) == {"caf\\xe9.mp4": ["caf\\xe9.mp4", 1, None]}


@given(st.text(st.characters(exclude_categories=())))
def test_what_is_valid_can_be_written_everywhere_and_ordinary_text_stays(text):
    shown = names.valid(text)
    assert shown.encode().decode() == shown
    assert json.loads(json.dumps(shown, ensure_ascii=False)) == shown
    assert names.one_line(text).splitlines() in ([names.one_line(text)], [])
    if text.isprintable():
        assert names.one_line(text) == text


def test_a_line_break_in_a_name_does_not_break_a_message():
    assert names.one_line("a\nb\x07\x85.mp4: no such file") == "a\\nb\\x07\\x85.mp4: no such file"


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, LATIN_1, "line\nbreak", "-dash", "12:30.mp4"])
def test_a_file_is_written_whole_under_any_name(tmp_path, name):
    files.write_atomic(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_one_line(tmp_path):
    for name in ("x" * 256, "ü" * 128):
        with pytest.raises(UserError, match=r"--out: .*: File name too long; .*\.\.\. has 256 bytes"):
            names.demand_allowed(tmp_path / name, "--out")
        with pytest.raises(UserError, match="File name too long"):
            files.demand_file(tmp_path / name)
    names.demand_allowed(tmp_path / "absent" / ("x" * 255), "--out")
    with pytest.raises(UserError, match="File name too long"):
        names.demand_allowed(tmp_path / "absent" / ("x" * 256) / "a.mp4", "--out")


def test_a_loop_of_links_is_one_line(tmp_path):
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(UserError, match=r"no such file|Too many levels"):
        files.demand_file(tmp_path / "a")


def test_long_names_stay_different_when_they_are_shortened():
    assert names.shortened("x" * 99) == "x" * 99
    one, other = names.shortened("x" * 250 + "a"), names.shortened("x" * 250 + "b")
    assert one != other and len(one) < 40


def test_paths_are_shown_by_the_command_line_whatever_their_bytes(capsys):
    from flows.commands import show

    show(str(Path(LATIN_1)))
    assert capsys.readouterr().out == "caf\\xe9.mp4\n"


def test_a_mistyped_name_among_many_is_found_and_few_are_compared_letter_by_letter(monkeypatch):
    known = [f"main/{5_535_415_699_068_794_000 + number // 12}/{number % 12:05d}" for number in range(20_000)]
    compared = []
    original = names.difflib.get_close_matches

    def counted(word, possibilities, *arguments):
        compared.append(len(possibilities))
        return original(word, possibilities, *arguments)

    monkeypatch.setattr(names.difflib, "get_close_matches", counted)
    for wrong in (known[12_345] + "x", known[12_345][1:], known[12_345].replace("main", "mian")):
        assert known[12_345] in names.similar(wrong, known, 3)
    assert compared == [names.CANDIDATES] * 3
    assert names.similar("something else", known, 3) == [] and names.similar("", [], 3) == []
