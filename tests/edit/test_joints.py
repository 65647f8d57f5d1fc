"""Jumps in the source, where they are taken, and how far they are smoothed."""

import numpy as np
import pytest

from model.head_track import Heads
from tasks.edit import joints


def heads(x_T):
    """Heads that lie at these x, px."""
    num, shape = len(x_T), np.random.default_rng(0).normal(0, 50, (1, 468, 3))
    shift_T3 = np.stack([x_T, np.zeros(num), np.zeros(num)], axis=1)
    return Heads(np.repeat(shape, num, 0), np.repeat(np.eye(3)[None], num, 0), shift_T3)


def at(before, after, num=10):
    """`num` frames up to source frame `before`, then as many from `after` on."""
    return np.concatenate([np.arange(before - num + 1, before + 1), np.arange(after, after + num)]).astype(float)


X = heads(np.concatenate([np.arange(60) * 0.5, 18 - np.arange(60) * 0.5]))  # to the right, then to the left


def head_of(t):
    return (X, t)


def test_the_picture_changes_over_where_both_sides_are_nearest_and_nothing_is_said():
    at_N = at(30, 70)
    free_N = np.ones(20, bool)
    one = joints.least(at_N, 10, free_N, 3, 120, head_of)
    candidates = [abs(X.shift_T3[70 + k, 0] - X.shift_T3[30 + k, 0]) for k in range(-3, 4)]
    assert one.shifted == int(np.argmin(candidates)) - 3 != 0
    assert one.jump_px == pytest.approx(min(candidates))
    moved_N = joints.moved(at_N, one)
    assert np.flatnonzero(np.abs(np.diff(moved_N)) > 1).tolist() == [one.n - 1]
    assert {moved_N[one.n - 1], moved_N[one.n]} == {one.before, one.after}
    free_N[:] = False
    assert joints.least(at_N, 10, free_N, 3, 120, head_of).shifted == 0


def test_a_larger_jump_is_led_over_more_frames_within_bounds():
    halves = [joints.smoothed(joints.Joint(50, 1, 90, jump, 0, 0), 0.5, 40, 25.0).half for jump in (0.1, 4.0, 100.0)]
    assert halves == [round(joints.LEAST_S * 25), 6, round(joints.MOST_S * 25)]
    assert joints.smoothed(joints.Joint(2, 1, 90, 100.0, 0, 0), 0.5, 2, 25.0).half == 2


def test_without_a_face_there_is_a_plain_cut():
    one = joints.joint(at(30, 70), 10, 10, lambda t: None)
    assert joints.smoothed(one, 0.5, 40, 25.0).half == 0


def test_a_joint_at_half_way_is_half_way_and_ends_where_the_footage_is():
    joint = joints.Joint(50, 30, 70, 5.0, 4, 2)
    leads = np.array([joints.lead(joint, n) for n in range(46, 54)])
    assert (np.diff(leads[:, 0]) > 0).all() and leads[0, 0] < 0.05 and leads[-1, 0] > 0.95
    assert leads[3:5].sum(axis=0) == pytest.approx([1, 1])
    assert leads[:2, 1].max() == 0 and leads[6:, 1].min() == 1


def test_joints_near_each_other_share_the_frames_between_them():
    assert joints.rooms([10, 16], 100) == [3, 3]
    assert joints.rooms([4], 100) == [4]
