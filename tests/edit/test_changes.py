"""What changed between two texts, word by word as they are said."""

import random

import pytest

from tasks.core.errors import UserError
from tasks.edit import changes, numerals
from tasks.edit.changes import Change, words_of


def between(old, new):
    return changes.between(words_of(old), words_of(new))


def said(text):
    return [word.said for word in words_of(text)]


@pytest.mark.parametrize(
    ("old", "new", "spans"),
    [
        ("one two three", "one three", [(1, 2, 1, 1)]),
        ("one three", "one two three", [(1, 1, 1, 2)]),
        ("one two three", "one four three", [(1, 2, 1, 2)]),
        ("One. Two three.", "Two three, four.", [(0, 1, 0, 0), (3, 3, 2, 3)]),
        ("no no no stop", "no stop", [(1, 3, 1, 1)]),
        ("the cat saw the dog", "the dog saw the cat", [(1, 2, 1, 2), (4, 5, 4, 5)]),
        ("I don't know", "I do know", [(1, 2, 1, 2)]),
        ("It costs 42 pounds", "It costs 43 pounds", [(3, 4, 3, 4)]),
        ("a b", "c d e", [(0, 2, 0, 3)]),
        ("a", "a a", [(1, 1, 1, 2)]),
    ],
)
def test_only_words_that_differ_change(old, new, spans):
    assert between(old, new) == [Change(*span) for span in spans]


def test_texts_of_any_length_are_compared_and_the_changes_make_the_new_text(monkeypatch):
    draw = random.Random(0)
    for most in (changes.MOST_CELLS, 0):
        monkeypatch.setattr(changes, "MOST_CELLS", most)
        for _ in range(30):
            old, new = ([draw.choice("abcd") for _ in range(draw.randint(1, 20))] for _ in range(2))
            if old == new:
                continue
            made = list(old)
            for one in reversed(between(" ".join(old), " ".join(new))):
                made[one.first : one.last] = new[one.new_first : one.new_last]
            assert made == new


@pytest.mark.parametrize(
    "new",
    ["Well known, it's 42!", "well-known it\N{RIGHT SINGLE QUOTATION MARK}s Forty-Two", "WELL\nKNOWN (it's) forty two"],
)
def test_spelling_case_and_punctuation_alone_change_nothing(new):
    with pytest.raises(UserError, match="says the same words"):
        between("Well known: it's forty two.", new)


@pytest.mark.parametrize(("old", "new", "which"), [("", "a", "transcript"), ("a", "...", "new text")])
def test_a_text_without_words_is_one_line(old, new, which):
    with pytest.raises(UserError, match=f"the {which} has no words"):
        between(old, new)


@pytest.mark.parametrize(("text", "name"), [("今天天气很好", "Chinese"), ("Добрый вечер", "Cyrillic")])
def test_letters_of_a_language_that_cannot_be_aligned_are_named(text, name):
    with pytest.raises(UserError, match=f"in {name} letters"):
        words_of(text)


def test_words_keep_their_spelling_and_what_ends_a_phrase():
    words = words_of('He said: "Well-known, 21st, it\'s!" (Yes)')
    assert [word.spelled for word in words] == [
        "He", "said:", '"Well-', "known,", "twenty", "first,", 'it\'s!"', "(Yes)",
    ]  # fmt: skip
    assert [word.said for word in words if word.ends_phrase] == ["said", "known", "first", "it's"]


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"), ("13", "thirteen"), ("42", "forty two"), ("100", "one hundred"), ("105", "one hundred five"),
        ("1000", "one thousand"), ("1999", "nineteen ninety nine"), ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"), ("2005", "two thousand five"), ("2026", "two thousand twenty six"),
        ("1234567", "one million two hundred thirty four thousand five hundred sixty seven"),
        ("007", "zero zero seven"), ("3rd", "third"), ("20th", "twentieth"), ("21st", "twenty first"),
        ("100th", "one hundredth"), ("1990s", "nineteen nineties"),
    ],
)  # fmt: skip
def test_numbers_are_words_as_they_are_said(digits, words):
    assert numerals.spoken(digits) == words.split() == said(digits)


@pytest.mark.parametrize("word", ["b2", "two", "2x", "half"])
def test_what_is_no_number_stays(word):
    assert numerals.spoken(word) is None and said(word) == [word]
