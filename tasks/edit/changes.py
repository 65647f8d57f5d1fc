"""What changed between two transcripts: which words are cut, and which are said anew in which place.

Words are compared as they are said (tasks/words/align.py, numbers in words), so spelling, case and punctuation change
nothing.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.core.errors import UserError
from tasks.edit import numerals
from tasks.media import alphabets
from tasks.words import align

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
    matcher = difflib.SequenceMatcher(None, [w.said for w in old], [w.said for w in new], autojunk=False)
    changes = [Change(*span) for kind, *span in matcher.get_opcodes() if kind != "equal"]
    if not changes:
        raise UserError("the new text says the same words; spelling and punctuation alone change nothing")
    return changes
