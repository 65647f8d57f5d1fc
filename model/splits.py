"""Which persons, videos and clips are held out: train, val and test of a corpus that has no split of its own.

The rule. Each person has a place in [0, 1) by the hash of the name. Places below `test_share` are test, those in the
next `val_share` val, the others train. Two things bend it, by moving the persons next to a border: no split is empty,
and none that is held out has more than twice its share, rounded up. In a corpus of 60 persons or more neither is
likely, and one more moves no other; in a smaller one it moves at most three.

With fewer persons than splits, the one with the most clips is divided by the same rule, by its videos, and each other
holds one split; with too few videos it is the clips of one; and one single clip is cut in time. A share of 0 is no
split.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from model import timing

TRAIN = "train"
LEVELS = ("person", "video", "clip")
GAP_FRAMES = timing.FPS  # left out where a clip is cut: adjacent frames show nearly the same picture
MIN_HELD_OUT_FRAMES = 2 * timing.FPS
MIN_TRAIN_FRAMES = 6 * timing.FPS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip goes. `splits`: several if it has to be cut in time. `by`: one of LEVELS, or time."""

    splits: tuple[str, ...]
    by: str


def position(name: str) -> float:
    """In [0, 1), by the hash of the name alone."""
    return int(hashlib.sha256(f"split {name}".encode()).hexdigest()[:12], 16) / 16**12


def ranked(names: Collection[str]) -> list[str]:
    return sorted(set(names), key=lambda name: (position(name), name))


def divide(names: Collection[str], shares: Mapping[str, float]) -> dict[str, str]:
    """Name -> split, by the rule above.

    shares: of the held-out splits, in order, each above 0, together below 1; there are more names than shares
    """
    order, at, border = ranked(names), 0, 0.0
    assert len(order) > len(shares)
    split_of = dict.fromkeys(order, TRAIN)
    for number, (split, share) in enumerate(shares.items()):
        border += share
        below = sum(position(name) < border for name in order) - at
        most = min(math.ceil(2 * share * len(order)), len(order) - at - (len(shares) - number))
        num = min(max(below, 1), most)
        split_of |= dict.fromkeys(order[at : at + num], split)
        at += num
    return split_of


def places(
    clips: Collection[tuple[str, str, str]], shares: Mapping[str, float], first: str = "person"
) -> dict[tuple[str, str, str], Place]:
    """(person, video, clip) -> its place.  shares: of the held-out splits.  first: the level that is divided first"""
    wanted = {split: share for split, share in shares.items() if share > 0}
    return _places(clips, wanted, LEVELS.index(first)) if clips else {}


def _places(
    clips: Collection[tuple[str, str, str]], shares: Mapping[str, float], level: int
) -> dict[tuple[str, str, str], Place]:
    if level == len(LEVELS):
        [clip] = clips
        return {clip: Place((*shares, TRAIN), "time")}
    units, left = ranked([clip[level] for clip in clips]), dict(shares)
    if len(units) > len(shares):
        split_of, last = divide(units, shares), None
    else:
        counted = Counter(clip[level] for clip in clips)
        last = max(units, key=lambda name: (counted[name], units.index(name)))
        split_of = dict(zip([name for name in units if name != last], shares, strict=False))
        left = {split: share for split, share in shares.items() if split not in split_of.values()}
    found = {clip: Place((split_of[clip[level]],), LEVELS[level]) for clip in clips if clip[level] in split_of}
    rest = [clip for clip in clips if clip[level] == last]
    return found | (_places(rest, left, level + 1) if rest else {})


def cut(num_frames: int, shares: Mapping[str, float]) -> dict[str, tuple[int, int]]:
    """One clip cut in time: split -> first frame and the one after the last; train first, a gap before each other.

    Errors: ValueError with the number of frames that are needed, if it is shorter
    """
    parts = {split: max(MIN_HELD_OUT_FRAMES, round(share * num_frames)) for split, share in shares.items()}
    at = num_frames - sum(parts.values()) - GAP_FRAMES * len(parts)
    if at < MIN_TRAIN_FRAMES:
        raise ValueError(MIN_TRAIN_FRAMES + (MIN_HELD_OUT_FRAMES + GAP_FRAMES) * len(parts))
    spans = {TRAIN: (0, at)}
    for split, num in parts.items():
        spans[split] = (at + GAP_FRAMES, at + GAP_FRAMES + num)
        at += GAP_FRAMES + num
    return spans
