"""The split rule as properties over numbers of persons, and as known answers for the few."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import splits

SHARES = {"test": 0.1, "val": 0.1}
NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=1, max_size=60, unique=True)
CLIPS = st.lists(st.tuples(*[st.sampled_from("abcdef")] * 3), min_size=1, max_size=40, unique=True)
SHARE = st.floats(0.01, 0.45)
HELD_OUT = st.tuples(SHARE, SHARE).map(lambda pair: {"test": pair[0], "val": pair[1]})


def clips_of(names):
    return [(name, f"{name}-v", "0") for name in names]


def split_of(names, shares=SHARES):
    return {person: place.splits for (person, *_), place in splits.places(clips_of(names), shares).items()}


@given(CLIPS, HELD_OUT)
def test_each_clip_has_a_place_and_no_split_is_empty(clips, shares):
    found = splits.places(clips, shares)
    assert set(found) == set(clips)
    assert {split for place in found.values() for split in place.splits} == {"train", "val", "test"}
    assert all(len(place.splits) == 1 or place.by == "time" for place in found.values())


@given(CLIPS, HELD_OUT)
def test_three_persons_or_more_are_never_in_two_splits(clips, shares):
    found = splits.places(clips, shares)
    of = {(person, place.splits) for (person, *_), place in found.items()}
    persons = {person for person, *_ in clips}
    assert len(persons) < 3 or len(of) == len(persons)


@given(CLIPS, HELD_OUT)
def test_with_two_persons_the_tested_one_is_never_trained_on(clips, shares):
    found = splits.places(clips, shares)
    tested = {person for (person, *_), place in found.items() if "test" in place.splits}
    trained = {person for (person, *_), place in found.items() if "train" in place.splits}
    assert len({person for person, *_ in clips}) < 2 or not tested & trained


@settings(max_examples=300)
@given(NAMES, st.text("abcdefgh", min_size=1, max_size=6), HELD_OUT)
def test_one_more_person_moves_at_most_three(names, new, shares):
    if new in names or len(names) < 3:
        return
    before, after = split_of(names, shares), split_of([*names, new], shares)
    assert sum(before[name] != after[name] for name in names) <= 3


@given(NAMES, HELD_OUT)
def test_a_held_out_split_is_at_most_twice_its_share(names, shares):
    if len(names) < 3:
        return
    counted = Counter(split_of(names, shares).values())
    assert all(counted[(split,)] < 2 * share * len(names) + 1 for split, share in shares.items())


def test_in_a_large_corpus_one_more_person_moves_no_other():
    names = [f"person{k}" for k in range(300)]
    before, after = split_of(names), split_of([*names, "new"])
    assert all(before[name] == after[name] for name in names)
    counted = Counter(before.values())
    assert 20 <= counted[("val",)] <= 40 and 20 <= counted[("test",)] <= 40


@pytest.mark.parametrize(
    ("clips", "levels"),
    [
        ([("a", "a", "0")], {"time": 3}),
        ([("a", "a", "0"), ("b", "b", "0")], {"person": 1, "time": 2}),
        ([("a", "a1", "0"), ("a", "a2", "0")], {"video": 1, "time": 2}),
        ([("a", f"a{k}", "0") for k in range(9)], {"video": 9}),
        ([("a", "a", str(k)) for k in range(9)], {"clip": 9}),
        ([("a", f"a{k}", "0") for k in range(5)] + [("b", f"b{k}", "0") for k in range(5)], {"person": 5, "video": 5}),
        ([(name, name, "0") for name in "abc"], {"person": 3}),
    ],
)
def test_few_persons_are_divided_by_video_clip_and_time(clips, levels):
    found = splits.places(clips, SHARES)
    assert Counter(place.by for place in found.values() for _ in place.splits) == levels


def test_of_two_persons_the_one_with_fewer_videos_is_tested():
    for few, many in (("a", "b"), ("b", "a")):
        found = splits.places([(few, few, "0"), *((many, f"{many}{k}", "0") for k in range(5))], SHARES)
        assert {person for (person, *_), place in found.items() if place.splits == ("test",)} == {few}


def test_divided_by_video_persons_do_not_count():
    found = splits.places([("a", f"a{k}", "0") for k in range(9)], SHARES, "video")
    assert {place.by for place in found.values()} == {"video"}


def test_a_share_of_0_is_no_split():
    assert set(split_of("abcdef", {"test": 0.0, "val": 0.0}).values()) == {("train",)}


@given(st.integers(12 * 25, 100_000), HELD_OUT)
def test_a_cut_clip_has_gaps_and_nothing_beyond_its_end(num_frames, shares):
    try:
        spans = splits.cut(num_frames, shares)
    except ValueError:
        assert num_frames < 2000
        return
    order = [spans[split] for split in ("train", *shares)]
    assert order[0][0] == 0 and order[-1][1] == num_frames
    assert all(b[0] - a[1] == splits.GAP_FRAMES for a, b in pairwise(order))
    assert all(end > first for first, end in order)


def test_a_clip_too_short_to_be_cut_says_how_long_it_must_be():
    assert splits.cut(300, SHARES) == {"train": (0, 150), "test": (175, 225), "val": (250, 300)}
    with pytest.raises(ValueError, match="300"):
        splits.cut(299, SHARES)
