"""How much faster or slower a line is spoken so that it fits into its time.

A line that is longer than its cue first takes the silence up to the next cue, then is spoken faster; one that is
shorter is spoken slower. Both within bounds: beyond them a voice sounds chased, or drags.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.core.errors import UserError
from tasks.lines.subtitles import Cue

GAP_S = 0.08  # of silence before the next cue
LEAST, MOST = 0.5, 4.0  # speeds that can be asked for
NUMBER = r"\d(?:\.\d+)?"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the speed; 1 is as spoken."""

    slowest: float
    fastest: float


def bounds(word: str) -> Bounds:
    """ "0.8-1.35" -> Bounds(0.8, 1.35).  Errors: UserError"""
    match = re.fullmatch(rf"({NUMBER})-({NUMBER})", word.strip())
    if not match or not LEAST <= float(match[1]) <= 1 <= float(match[2]) <= MOST:
        raise UserError(
            f"--speed {word}: wanted SLOWEST-FASTEST, as 0.8-1.35: from {LEAST:g} to 1, and from 1 to {MOST:g}"
        )
    return Bounds(float(match[1]), float(match[2]))


def rooms_s(cues: Sequence[Cue], k: int, film_s: float) -> tuple[float, float]:
    """How long cue k lasts in a film of `film_s`, and how long it may last: to the next cue that does not begin within
    it, or to the film's end.
    """
    start_s, end_s = cues[k].start_s, min(cues[k].end_s, film_s)
    later_s = [other.start_s - GAP_S for other in cues if other.start_s >= end_s]
    return end_s - start_s, max(end_s, min([*later_s, film_s])) - start_s


@dataclass(frozen=True, slots=True)
class Fit:
    """too_long_s: by how much the line is too long for its time at the highest speed; 0 where it fits"""

    speed: float
    too_long_s: float


def fitted(spoken_s: float, cue_s: float, room_s: float, bounds: Bounds) -> Fit:
    """spoken_s: the line's length as spoken.  cue_s: of its cue.  room_s: with the silence after it"""
    if spoken_s <= cue_s:
        return Fit(max(bounds.slowest, spoken_s / cue_s), 0.0)
    needed = max(1.0, spoken_s / room_s)
    if needed <= bounds.fastest:
        return Fit(needed, 0.0)
    return Fit(bounds.fastest, spoken_s / bounds.fastest - room_s)
