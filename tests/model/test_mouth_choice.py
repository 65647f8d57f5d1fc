"""Choosing mouths from a library: the cheapest path."""

import itertools

import numpy as np
import pytest

from model import mouth_choice


def chain(num, breaks=()):
    """next_N for videos that end at `breaks`."""
    after = np.arange(1, num + 1)
    after[[*[b - 1 for b in breaks], num - 1]] = -1
    return after


def looks(num, *shown):
    """Looks of mouths, usual but for (mouth, level) of `shown`."""
    looks_N6 = np.zeros((num, 6), np.float32)
    for mouth, level in shown:
        looks_N6[mouth] = level
    return looks_N6


def choose(have, want, after, looks_N6=None):
    look = looks(len(have)) if looks_N6 is None else looks_N6
    return mouth_choice.choose(have, want, after, mouth_choice.visible(have, look))


def cost(have, want, after, path, look):
    near = sum(float(np.square(have[n] - want[t]).sum()) for t, n in enumerate(path))
    for a, b in itertools.pairwise(path):
        if after[a] != b:
            due = after[a] if after[a] >= 0 else a
            near += mouth_choice.STEP + mouth_choice.JUMP * float(np.square(have[due] - have[b]).sum())
            near += float(np.square((look[due] - look[b]) / mouth_choice.LOOK).sum())
    return near


@pytest.mark.parametrize("seed", range(5))
def test_the_chosen_path_is_the_cheapest(seed):
    rng = np.random.default_rng(seed)
    have, want = rng.normal(0, 2, (5, 3)).astype(np.float32), rng.normal(0, 2, (5, 3)).astype(np.float32)
    after, look = chain(5, [3]), rng.normal(0, 0.1, (5, 6)).astype(np.float32)
    path = choose(have, want, after, look)
    best = min(itertools.product(range(5), repeat=5), key=lambda one: cost(have, want, after, one, look))
    assert cost(have, want, after, path, look) == pytest.approx(cost(have, want, after, best, look), rel=1e-5)


def test_a_videos_own_mouths_are_chosen_in_order():
    have = np.random.default_rng(0).normal(0, 3, (400, 8)).astype(np.float32)
    assert choose(have, have[120:180], chain(400)).tolist() == list(range(120, 180))


def test_a_small_gain_is_not_worth_a_jump():
    have = np.zeros((60, 2), np.float32)
    have[30:] = 0.3  # nearer to the target, by less than the cost of a jump
    want = np.where(np.arange(20)[:, None] % 2, 0.3, 0.0).repeat(2, axis=1).astype(np.float32)
    path = choose(have, want, chain(60))
    assert (np.diff(path) == 1).all()


def test_successors_of_the_best_paths_are_candidates():
    """A video is continued even if its frames are never among the nearest ones."""
    rng = np.random.default_rng(1)
    steady = np.stack([np.linspace(0, 1, 30), np.full(30, 0.5)], axis=1)
    near = np.repeat(np.stack([np.linspace(0, 1, 30), np.zeros(30)], axis=1), 60, axis=0)  # apart from each other
    have = np.concatenate([steady, near + rng.normal(0, 1e-3, near.shape)]).astype(np.float32)
    want = near[::60].astype(np.float32)
    want[0] = steady[0]
    after = np.full(len(have), -1)
    after[:29] = np.arange(1, 30)
    assert choose(have, want, after).tolist() == list(range(30))


def test_a_library_of_one_mouth_gives_that_mouth():
    assert choose(np.ones((1, 4), np.float32), np.zeros((3, 4), np.float32), np.array([-1])).tolist() == [0] * 3


def test_no_output_frames_give_an_empty_choice():
    assert not len(choose(np.ones((4, 2), np.float32), np.zeros((0, 2), np.float32), chain(4)))


def test_without_knowing_the_next_frame_a_video_is_continued_and_left_only_for_a_better_mouth():
    have = np.zeros((60, 2), np.float32)
    have[30:] = 3.0
    follower = mouth_choice.Follower(have, chain(60), mouth_choice.visible(have, looks(60)))
    near, far = np.zeros(2, np.float32), np.full(2, 3.0, np.float32)
    first = [follower.step(near) for _ in range(5)]
    assert np.diff(first).tolist() == [1] * 4
    assert follower.step(far) >= 30


def test_of_mouths_of_one_shape_the_one_that_looks_like_those_around_is_taken():
    """Single frames of a mouth that grows; at step 3 one nearer to the target shows teeth, one further off is as dark
    as the others."""
    have = np.array([[0, 0], [1, 0], [2, 0], [3, 0.1], [3, 0.5], [4, 0], [5, 0]], np.float32)
    want, after = np.array([[k, 0] for k in range(6)], np.float32), np.full(7, -1)
    assert choose(have, want, after).tolist() == [0, 1, 2, 3, 5, 6]
    teeth = looks(7, (3, 0.2))
    assert choose(have, want, after, teeth).tolist() == [0, 1, 2, 4, 5, 6]
    follower = mouth_choice.Follower(have, after, mouth_choice.visible(have, teeth))
    assert [follower.step(one) for one in want] == [0, 1, 2, 4, 5, 6]


def test_a_video_whose_inside_changes_by_itself_is_followed_for_nothing():
    have = np.stack([np.arange(20), np.zeros(20)], axis=1).astype(np.float32)
    assert choose(have, have, chain(20), looks(20, (10, 0.5))).tolist() == list(range(20))


def test_a_mouth_with_its_own_inside_is_worth_a_jump_and_where_all_lack_it_nothing_changes():
    have = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [3, 2]], np.float32)
    want, after = have[:4], np.array([1, 2, 3, -1, -1])
    visible = mouth_choice.visible(have, looks(5))

    def lacking(t, numbers):
        return np.where((t == 3) & (numbers < 4), 1.0, 0.0)

    def all_lacking(t, numbers):
        return np.ones(len(numbers))

    assert mouth_choice.choose(have, want, after, visible).tolist() == [0, 1, 2, 3]
    assert mouth_choice.choose(have, want, after, visible, lacking).tolist() == [0, 1, 2, 4]
    assert mouth_choice.choose(have, want, after, visible, all_lacking).tolist() == [0, 1, 2, 3]
    follower = mouth_choice.Follower(have, after, visible)
    assert [follower.step(one, lacking(t, np.arange(5))) for t, one in enumerate(want)] == [0, 1, 2, 4]
