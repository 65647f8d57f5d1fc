"""New words out of a person's own footage: of all places where they say them, those that fit best (unit selection).

A unit is a whole word where the footage has it, otherwise a phone. Units that follow each other in one recording join
for nothing, so longer stretches win by themselves.

Source: Hunt and Black 1996, ICASSP: target and join costs, the cheapest sequence by Viterbi
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tasks.edit import joins
from tasks.edit.cuts import Gaps
from tasks.edit.footage import Clip
from tasks.edit.joins import Window
from tasks.words.align import Aligner

NUM_CANDIDATES = 24  # of a word, after the context has ranked them
NUM_PHONES = 8  # of a phone; each may be in another recording, which has to be aligned
MIN_RUN = 2.0  # phones of one recording in a row, on average; a word of shorter runs is not taken
PHONE_CUT_S = 0.008  # a cut within a word lies so far from the boundary of its phones
PAUSE_S = 0.15  # longer between two words of the footage is a pause
# target cost: neighbours that differ, a pause where none is wanted, doubt, and the octaves away
# from the wanted pitch
WORD, PHONE, PAUSED, DOUBT, PITCH = 0.5, 1.0, 1.5, 2.0, 4.0
JOIN, JOIN_COST = 2.0, 0.1  # a join at all, and a unit of `joins.cost`

Place = tuple[int, int, int]  # clip, word, phone


@dataclass(frozen=True, slots=True)
class Wanted:
    """The words to say; the words and phones beside them ("" at a pause), and the pitch, 0 if any."""

    words: tuple[str, ...]
    before: str
    after: str
    pitch_hz: float = 0.0


@dataclass(frozen=True, slots=True)
class Unit:
    """begins, ends: its place and the place after it; start_s, end_s: of its clip's recording"""

    clip: Clip
    begins: Place
    ends: Place
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Slot:
    """One unit to find: a word, or one phone of a word that the footage lacks."""

    word: str
    phone: int | None
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Units that follow each other in one recording: they are taken as one stretch, cut within `left` and `right`."""

    clip: Clip
    left: Window
    right: Window


class Footage:
    """The words and phones of a person's clips."""

    def __init__(self, clips: Sequence[Clip], aligner: Aligner) -> None:
        self._clips, self._aligner = clips, aligner
        self._places: dict[str, list[tuple[int, int]]] = {}
        for number, clip in enumerate(clips):
            for at, word in enumerate(clip.said):
                self._places.setdefault(word, []).append((number, at))

    def find(self, wanted: Wanted) -> list[Run] | None:
        """Stretches that say the words one after the other; None where the footage has not enough of them."""
        slots = [slot for word in wanted.words for slot in self._slots(word)]
        lacking = {slot.phones for slot in slots if slot.phone is not None}
        if not all(map(self._has_runs, lacking)):
            return None
        columns: list[tuple[list[Unit], np.ndarray]] = []
        for number, slot in enumerate(slots):
            units = self._phone_units(slot) if slot.phone is not None else self._word_units(number, slots, wanted)
            if not units:
                return None
            columns.append((units, np.array([self._target(unit, number, slots, wanted) for unit in units])))
        runs = _runs(_cheapest(columns)) if columns else []
        num_phones = sum(slot.phone is not None for slot in slots)
        if num_phones and num_phones < MIN_RUN * _num_phone_runs(runs, slots):
            return None
        return runs

    def _slots(self, word: str) -> list[Slot]:
        phones = self._aligner.phones_of(word)
        if word in self._places:
            return [Slot(word, None, phones)]
        return [Slot(word, number, phones) for number in range(len(phones))] or [Slot(word, None, ())]

    def _word_units(self, number: int, slots: Sequence[Slot], wanted: Wanted) -> list[Unit]:
        slot = slots[number]
        before = slots[number - 1].word if number else wanted.before
        after = slots[number + 1].word if number + 1 < len(slots) else wanted.after
        ranked = sorted(self._places.get(slot.word, ()), key=lambda place: self._differs(place, before, after))
        units = []
        for clip, at in ranked:
            words = self._clips[clip].words
            if words:
                units.append(
                    Unit(self._clips[clip], (clip, at, 0), (clip, at + 1, 0), words[at].start_s, words[at].end_s)
                )
            if len(units) == NUM_CANDIDATES:
                break
        return units

    def _differs(self, place: tuple[int, int], before: str, after: str) -> float:
        said, at = self._clips[place[0]].said, place[1]
        left, right = (said[at - 1] if at else ""), (said[at + 1] if at + 1 < len(said) else "")
        total = 0.0
        for own, wanted, edge in ((left, before, -1), (right, after, 0)):
            total += WORD * (own != wanted) + PHONE * (self._edge(own, edge) != self._edge(wanted, edge))
            total += PAUSED * (not own and wanted != "")
        return total

    def _edge(self, word: str, edge: int) -> str:
        phones = self._aligner.phones_of(word) if word else ()
        return phones[edge] if phones else ""

    def _has_runs(self, phones: tuple[str, ...]) -> bool:
        """Whether the footage's words have the phones in runs that are long enough, by the dictionary alone."""
        fewest = [0.0] + [math.inf] * len(phones)
        for end in range(1, len(phones) + 1):
            starts = [start for start in range(end) if phones[start:end] in self._phone_runs]
            fewest[end] = min((fewest[start] + 1 for start in starts), default=math.inf)
        return len(phones) >= MIN_RUN * fewest[-1]

    @cached_property
    def _phone_runs(self) -> set[tuple[str, ...]]:
        runs = set()
        for phones in map(self._aligner.phones_of, self._places):
            runs |= {phones[a:b] for a, b in itertools.combinations(range(len(phones) + 1), 2)}
        return runs

    def _phone_units(self, slot: Slot) -> list[Unit]:
        """Places of one phone, those first whose neighbours are the same phones."""
        assert slot.phone is not None
        wanted, at = slot.phones, slot.phone
        found: list[tuple[float, int, int, int]] = []
        for word, places in self._places.items():
            phones = self._aligner.phones_of(word)
            for number in (n for n, phone in enumerate(phones) if phone == wanted[at]):
                alike = _alike(phones, number, wanted, at)
                found += [(-alike, clip, place, number) for clip, place in places[:NUM_PHONES]]
        units = []
        for _, clip, place, number in sorted(found)[: 2 * NUM_PHONES]:
            words = self._clips[clip].with_phones()
            phones_found = words[place].phones if words else ()
            if number < len(phones_found) and phones_found[number].name == wanted[at]:
                last = number + 1 == len(phones_found)
                ends = (clip, place + 1, 0) if last else (clip, place, number + 1)
                phone = phones_found[number]
                units.append(Unit(self._clips[clip], (clip, place, number), ends, phone.start_s, phone.end_s))
            if len(units) == NUM_PHONES:
                break
        return units

    def _target(self, unit: Unit, number: int, slots: Sequence[Slot], wanted: Wanted) -> float:
        """How far a unit is from what is wanted in its place."""
        clip, at, _ = unit.begins
        slot, word = slots[number], unit.clip.words[at]
        if slot.phone is not None:
            return DOUBT * (1 - word.confidence)
        before = slots[number - 1].word if number else wanted.before
        after = slots[number + 1].word if number + 1 < len(slots) else wanted.after
        total = self._differs((clip, at), before, after) + DOUBT * (1 - word.confidence)
        hz = unit.clip.speech.pitch_hz(unit.start_s, unit.end_s) if wanted.pitch_hz else 0.0
        return total + (PITCH * abs(float(np.log2(hz / wanted.pitch_hz))) if hz else 0.0)


def _alike(phones: Sequence[str], number: int, wanted: Sequence[str], at: int) -> float:
    """How many phones around it are the wanted ones, in a row."""
    before = after = 0
    while number > before and at > before and phones[number - before - 1] == wanted[at - before - 1]:
        before += 1
    while number + after + 1 < len(phones) and at + after + 1 < len(wanted):
        if phones[number + after + 1] != wanted[at + after + 1]:
            break
        after += 1
    return before + after


def _cheapest(columns: Sequence[tuple[list[Unit], np.ndarray]]) -> list[Unit]:
    """The sequence of units, one of each column, with the least cost."""
    total_N, steps = columns[0][1], []
    for (before, _), (units, target_N) in itertools.pairwise(columns):
        join_MN = np.array([[_join(one, other) for other in units] for one in before])
        whole_MN = total_N[:, None] + join_MN
        steps.append(whole_MN.argmin(axis=0))
        total_N = whole_MN.min(axis=0) + target_N
    best = [int(total_N.argmin())]
    for step in reversed(steps):
        best.append(int(step[best[-1]]))
    return [units[number] for (units, _), number in zip(columns, reversed(best), strict=True)]


def _join(one: Unit, other: Unit) -> float:
    if one.ends == other.begins:
        return JOIN if other.start_s - one.end_s > PAUSE_S else 0.0
    x_P, y_P = np.array([one.end_s]), np.array([other.start_s])
    return JOIN + JOIN_COST * max(0.0, 60 + float(joins.cost(one.clip.speech, x_P, other.clip.speech, y_P)[0]))


def _runs(units: Sequence[Unit]) -> list[Run]:
    stretches = [[units[0]]]
    for one, other in itertools.pairwise(units):
        if one.ends == other.begins and other.start_s - one.end_s <= PAUSE_S:
            stretches[-1].append(other)
        else:
            stretches.append([other])
    return [_run(stretch[0], stretch[-1]) for stretch in stretches]


def _run(first: Unit, last: Unit) -> Run:
    gaps = Gaps(first.clip.words, first.clip.speech.length_s)
    (_, word, phone), (_, next_word, next_phone) = first.begins, last.ends
    return Run(
        first.clip,
        _around(first.start_s) if phone else gaps.before(word),
        _around(last.end_s) if next_phone else gaps.after(next_word),
    )


def _around(time_s: float) -> Window:
    return Window(max(0.0, time_s - PHONE_CUT_S), time_s, time_s + PHONE_CUT_S)


def _num_phone_runs(runs: Sequence[Run], slots: Sequence[Slot]) -> int:
    whole_words = sum(slot.phone is None for slot in slots)
    return max(1, len(runs) - whole_words)
