"""What changed between two transcripts: which words are cut, and which are said anew in which place.

Words are compared as they are said (tasks/words/align.py, numbers in words), so spelling, case and punctuation change
nothing.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.core.errors import UserError
from tasks.edit import numerals
from tasks.voices import alphabets
from tasks.words import align

MOST_CELLS = 50_000_000  # of the table of two texts, 100 MB; beyond, difflib compares them
PHRASE_END = re.compile(r"""[.!?;:,\u2013\u2014\u2026]["')\]\u201d\u2019]*$""")


@dataclass(frozen=True, slots=True)
class TextWord:
    """said: in lower case, as the aligner knows it; spelled: as the text has it, with its punctuation"""

    said: str
    spelled: str

    @property
    def ends_phrase(self) -> bool:
        return bool(PHRASE_END.search(self.spelled))


@dataclass(frozen=True, slots=True)
class Change:
    """Words first .. last - 1 of the old text become words new_first .. new_last - 1 of the new one.

    Nothing is removed where first == last, nothing is added where new_first == new_last.
    """

    first: int
    last: int
    new_first: int
    new_last: int


def words_of(text: str) -> list[TextWord]:
    """The words of a text as they are said, one for each; "well-known" is two, "42" too.

    Errors: UserError for a text in letters of a language that the aligner does not have
    """
    _demand_latin(text)
    words: list[TextWord] = []
    for token in text.split():
        said = align.spoken(token)
        spelled = _parts(token, said)
        for plain, part in zip(said, spelled, strict=True):
            number = numerals.spoken(plain)
            if number is None:
                words.append(TextWord(plain, part))
            else:
                end = PHRASE_END.search(part)
                words += [TextWord(word, word) for word in number[:-1]]
                words.append(TextWord(number[-1], number[-1] + (end[0] if end else "")))
    return words


def _parts(token: str, said: Sequence[str]) -> list[str]:
    """The token cut before each of its words but the first."""
    straight = token.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    cuts, at = [0], 0
    for number, word in enumerate(said):
        at = straight.index(word, at)
        if number:
            cuts.append(at)
        at += len(word)
    return [token[start:end] for start, end in zip(cuts, [*cuts[1:], len(token)], strict=True)] if said else []


def _demand_latin(text: str) -> None:
    letters = [letter for letter in text if unicodedata.category(letter)[0] == "L"]
    foreign = [script for script in map(alphabets.script_of, letters) if script in alphabets.SCRIPTS]
    if 2 * len(foreign) > len(letters):
        name = alphabets.NAMES.get(foreign[0], foreign[0].title())
        raise UserError(f"the text is in {name} letters; words can be aligned in English alone")


def between(old: Sequence[TextWord], new: Sequence[TextWord]) -> list[Change]:
    """The changes from the old words to the new ones, in their order.

    Errors: UserError for a text without words, and where nothing changes
    """
    for words, name in ((old, "transcript"), (new, "new text")):
        if not words:
            raise UserError(f"the {name} has no words")
    kept = _kept([word.said for word in old], [word.said for word in new])
    changes, first, new_first = [], 0, 0
    for at, new_at in [*kept, (len(old), len(new))]:
        if (at, new_at) != (first, new_first):
            changes.append(Change(first, at, new_first, new_at))
        first, new_first = at + 1, new_at + 1
    if not changes:
        raise UserError("the new text says the same words; spelling and punctuation alone change nothing")
    return changes


def _kept(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The most words that stay, in their order: their numbers in both texts.

    Of equally many, those that both texts begin with stay, then the later ones.
    Source: Needleman and Wunsch 1970, J. Mol. Biol. 48
    """
    pairs = enumerate(zip(old, new, strict=False))
    start = next((n for n, (one, other) in pairs if one != other), min(len(old), len(new)))
    some_old, some_new = old[start:], new[start:]
    head = [(n, n) for n in range(start)]
    if len(some_old) * len(some_new) > MOST_CELLS:
        blocks = difflib.SequenceMatcher(None, some_old, some_new, autojunk=False).get_matching_blocks()
        return head + [(start + one.a + n, start + one.b + n) for one in blocks for n in range(one.size)]
    numbers = {word: number for number, word in enumerate({*some_old, *some_new})}
    new_M = np.array([numbers[word] for word in some_new], int)
    best_NM = np.zeros((len(some_old) + 1, len(new_M) + 1), np.uint16)
    for number, word in enumerate(some_old):
        above = best_NM[number]
        row = np.maximum(above[1:], above[:-1] + (new_M == numbers[word]).astype(np.uint16))
        best_NM[number + 1, 1:] = np.maximum.accumulate(row)
    return head + [(start + n, start + m) for n, m in _walk(best_NM, some_old, some_new)]


def _walk(best_NM: np.ndarray, old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    n, m, kept = len(old), len(new), []
    while n and m:
        if old[n - 1] == new[m - 1]:
            n, m = n - 1, m - 1
            kept.append((n, m))
        elif best_NM[n - 1, m] >= best_NM[n, m - 1]:
            n -= 1
        else:
            m -= 1
    return kept[::-1]
