import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import sampling

DEFAULTS = {
    "seed": 1,
    "epoch": 0,
    "per_clip": 7,
    "in_flight": 3,
    "identity_min_frames": 6,
    "negative_min_frames": 9,
    "flip": True,
}


def clips(lengths, holes=0.0):
    rng = np.random.default_rng(3)
    found = []
    for length in lengths:
        seen = rng.random(length) >= holes
        seen[[0, -1]] = True
        found.append(seen)
    return [f"main/1/{k:05d}" for k in range(len(lengths))], found


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(20, 90), min_size=1, max_size=8),
    per_clip=st.integers(1, 40),
    in_flight=st.integers(1, 5),
    epoch=st.integers(0, 9),
    holes=st.sampled_from([0.0, 0.4]),
)
def test_a_negative_is_never_a_positive_and_an_identity_never_a_neighbour(lengths, per_clip, in_flight, epoch, holes):
    keys, found = clips(lengths, holes)
    d = sampling.draw(keys, found, **DEFAULTS | {"per_clip": per_clip, "in_flight": in_flight, "epoch": epoch})
    assert len(d) == per_clip * len(keys)
    for k in range(len(d)):
        own = d.clip_N[k] == d.negative_clip_N[k]
        assert not own or abs(d.negative_frame_N[k] - d.target_N[k]) >= 9
        assert abs(d.identity_N[k] - d.target_N[k]) >= 6
        assert found[d.clip_N[k]][d.target_N[k]] and found[d.clip_N[k]][d.identity_N[k]]
        assert 0 <= d.negative_frame_N[k] < lengths[d.negative_clip_N[k]]


def test_every_clip_gives_the_same_number_of_samples():
    keys, found = clips([30, 60, 90, 25])
    d = sampling.draw(keys, found, **DEFAULTS)
    assert np.bincount(d.clip_N).tolist() == [7] * 4


def test_epochs_differ_and_the_same_epoch_does_not():
    keys, found = clips([30, 60, 90, 25])
    one, again, other = (sampling.draw(keys, found, **DEFAULTS | {"epoch": e}) for e in (0, 0, 1))
    assert (one.target_N == again.target_N).all() and (one.clip_N == again.clip_N).all()
    assert (one.clip_N != other.clip_N).any()


def test_a_clips_samples_do_not_depend_on_the_other_clips():
    keys, found = clips([30, 60, 90, 25])
    every = sampling.draw(keys, found, **DEFAULTS | {"in_flight": 1})
    alone = sampling.draw(keys[1:2], found[1:2], **DEFAULTS | {"in_flight": 1})
    assert sorted(every.target_N[every.clip_N == 1]) == sorted(alone.target_N)


def test_no_frame_is_drawn_twice_before_every_one_is_drawn_once():
    keys, found = clips([40])
    d = sampling.draw(keys, found, **DEFAULTS | {"per_clip": 40, "in_flight": 1})
    assert sorted(d.target_N) == list(range(40))


def test_samples_of_clips_in_flight_are_mixed():
    keys, found = clips([60] * 6)
    d = sampling.draw(keys, found, **DEFAULTS | {"per_clip": 20, "in_flight": 6})
    assert len(set(d.clip_N[:16])) >= 4


@pytest.mark.parametrize("length", [5, 6])
def test_a_clip_too_short_for_its_identity_frame_is_named(length):
    keys, found = clips([length])
    with pytest.raises(ValueError, match=r"main/1/00000: no two frames with a face are 6 apart"):
        sampling.draw(keys, found, **DEFAULTS)


def test_one_clip_too_short_for_a_negative_is_named():
    keys, found = clips([9])
    with pytest.raises(ValueError, match="is the only clip and has no frame 9 from"):
        sampling.draw(keys, found, **DEFAULTS)


def test_a_silent_draw_shows_a_closed_mouth_and_leaves_the_rules_as_they_are():
    keys, found = clips([60, 90, 40])
    closed = [np.zeros(len(seen), bool) for seen in found]
    closed[0][[20, 41]] = closed[1][5] = True
    d = sampling.draw(keys, found, **DEFAULTS | {"per_clip": 200}, closed=closed, silent=0.25)
    for k in np.flatnonzero(d.silent_N):
        assert closed[d.clip_N[k]][d.target_N[k]]
        assert abs(d.identity_N[k] - d.target_N[k]) >= 6
        assert d.clip_N[k] != d.negative_clip_N[k] or abs(d.negative_frame_N[k] - d.target_N[k]) >= 9
    share_C = [d.silent_N[d.clip_N == c].mean() for c in range(3)]
    assert 0.15 < min(share_C[:2]) and max(share_C) < 0.35 and share_C[2] == 0
    assert not sampling.draw(keys, found, **DEFAULTS, closed=closed, silent=1.0, run=5).silent_N.any()
    assert not sampling.draw(keys, found, **DEFAULTS, closed=closed).silent_N.any()
