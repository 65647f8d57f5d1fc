"""Where the source is cut for a change: the windows in which the cuts are searched, and the pauses that are kept.

One pause is kept where words are deleted, the longer of the two, so that no two breaths follow each other. Words that
are added lie where the punctuation puts them: after the pause where a phrase ends before them, before it where they
end one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.edit.changes import Change, TextWord
from tasks.edit.joins import Window, fixed
from tasks.words.align import Word

AROUND_S = 0.025  # a cut lies so far from where the aligner puts the boundary, at most into a word
PAUSE_S = 0.08  # and so far into a pause
PART = 0.15  # and never further than this part of a word that stays
PHRASE_S = 0.25  # the pause between two phrases where the source gives none
SHORT_S = 0.15  # a pause below it is no pause of a phrase


@dataclass(frozen=True, slots=True)
class Cut:
    """The source stays until within `left` and goes on from within `right`; None: it has nothing on that side.

    pause_before_s, pause_after_s: to add around new words
    """

    left: Window | None
    right: Window | None
    pause_before_s: float = 0.0
    pause_after_s: float = 0.0


def of_change(change: Change, words: Sequence[Word], length_s: float, new: Sequence[TextWord]) -> Cut:
    """Where the source of `length_s` is cut for one change of its words."""
    gaps = Gaps(words, length_s)
    if change.first == change.last:
        return _insertion(change, gaps, new)
    if change.new_first < change.new_last:
        return _cut(gaps.before(change.first), gaps.after(change.last), length_s)
    before_s, after_s = gaps.pause_s(change.first), gaps.pause_s(change.last)
    at_start, at_end = change.first == 0, change.last == len(words)
    if (before_s >= after_s or at_start) and not at_end:
        return _cut(gaps.before(change.first), gaps.before(change.last), length_s)
    return _cut(gaps.after(change.first), gaps.after(change.last), length_s)


def _cut(left: Window, right: Window, length_s: float) -> Cut:
    return Cut(left if left.high_s > 0 else None, right if right.low_s < length_s else None)


def _insertion(change: Change, gaps: "Gaps", new: Sequence[TextWord]) -> Cut:
    at, length_s = change.first, gaps.length_s
    starts_phrase = change.new_first > 0 and new[change.new_first - 1].ends_phrase
    ends_phrase = new[change.new_last - 1].ends_phrase and change.new_last < len(new)
    pause_s, start_s, end_s = gaps.pause_s(at), gaps.ends_s[at], gaps.starts_s[at]
    if at == len(gaps.words) and starts_phrase:
        window = fixed(start_s + min(PHRASE_S, 0.8 * pause_s))
        return Cut(window, window, max(0.0, PHRASE_S - 0.8 * pause_s))
    if at == 0 and ends_phrase:
        window = fixed(end_s - min(PHRASE_S, 0.8 * pause_s))
        cut = Cut(window, window, 0.0, max(0.0, PHRASE_S - 0.8 * pause_s))
    elif starts_phrase and ends_phrase:
        window = gaps.before(at)
        cut = Cut(window, window, max(0.0, PHRASE_S - pause_s), max(PHRASE_S, min(pause_s, 2 * PHRASE_S)))
    elif ends_phrase or at == len(gaps.words):
        window = gaps.after(at)
        cut = Cut(window, window, 0.0, max(0.0, PHRASE_S - pause_s) if ends_phrase else 0.0)
    else:
        window = gaps.before(at)
        cut = Cut(window, window, max(0.0, PHRASE_S - pause_s) if starts_phrase else 0.0)
    if window.high_s <= 0:
        return Cut(None, window, cut.pause_before_s, cut.pause_after_s)
    return cut if window.low_s < length_s else Cut(window, None, cut.pause_before_s, cut.pause_after_s)


class Gaps:
    """The gap before each word, and after the last: ends_s[i] .. starts_s[i] lies before word i."""

    def __init__(self, words: Sequence[Word], length_s: float) -> None:
        self.words, self.length_s = words, length_s
        self.ends_s = [0.0, *(min(float(word.end_s), length_s) for word in words)]
        self.starts_s = [*(float(word.start_s) for word in words), length_s]

    def pause_s(self, number: int) -> float:
        return max(0.0, self.starts_s[number] - self.ends_s[number])

    def before(self, number: int) -> Window:
        """A cut just before word `number` starts."""
        at_s = self.starts_s[number]
        low_s = at_s - self._into_pause_s(number, number - 1)
        return Window(max(0.0, low_s), at_s, min(self.length_s, at_s + self._into_word_s(number)))

    def after(self, number: int) -> Window:
        """A cut just after word `number` - 1 ends."""
        at_s = self.ends_s[number]
        high_s = at_s + self._into_pause_s(number, number)
        return Window(max(0.0, at_s - self._into_word_s(number - 1)), at_s, min(self.length_s, high_s))

    def _into_pause_s(self, number: int, beyond: int) -> float:
        pause_s = self.pause_s(number)
        return min(PAUSE_S, pause_s) if pause_s >= AROUND_S else self._into_word_s(beyond)

    def _into_word_s(self, number: int) -> float:
        if not 0 <= number < len(self.words):
            return 0.0
        return min(AROUND_S, PART * (self.words[number].end_s - self.words[number].start_s))
