"""Which source frames an edited video shows."""

import numpy as np
import pytest

from tasks.edit import retime
from tasks.edit.pieces import Piece, joined

T = 75


def source(fps=25.0, num=T):
    times_s = np.arange(num) / fps
    return times_s, times_s + 1 / fps


def made(*spans):
    """Pieces end to end from (kept, seconds in the edited video, source start, source end)."""
    pieces, at_s = [], 0.0
    for kept, lasts_s, start_s, end_s in spans:
        pieces.append(Piece("kept" if kept else "voice", (), at_s, at_s + lasts_s, start_s, end_s))
        at_s += lasts_s
    return joined(pieces)


@pytest.mark.parametrize("fps", [12.0, 23.976, 25.0, 50.0])
def test_kept_pieces_show_every_frame_of_theirs_once_in_order(fps):
    times_s, ends_s = source(fps, 90)
    start, end = times_s[20], times_s[60]
    frames = retime.frames(made((True, start, 0, start), (True, 30 / fps, end, end + 30 / fps)), times_s, ends_s, [0])
    assert frames.at_N.tolist() == [*range(20), *range(60, 90)]
    assert np.diff(frames.times_s) == pytest.approx(1 / fps, rel=1e-6)


def test_a_matroskas_rounded_times_repeat_and_skip_no_frame():
    times_s, ends_s = (np.round(s, 3) for s in source(23.976))
    frames = retime.frames(made((True, 2.0, 0.5, 2.5)), times_s, ends_s, [0])
    assert set(np.diff(frames.at_N)) == {1.0}


def test_a_varying_rate_is_kept():
    times_s = np.array([0, 0.04, 0.08, 0.2, 0.24, 0.5, 0.54, 0.58, 0.62])
    frames = retime.frames(
        made((True, 0.2, 0, 0.2), (True, 0.3, 0.24, 0.54)), times_s, np.append(times_s[1:], 0.66), [0]
    )
    assert frames.at_N.tolist() == [0, 1, 2, 4, 5]
    assert frames.times_s == pytest.approx([0, 0.04, 0.08, 0.2, 0.46]) and frames.ends_s[-1] == pytest.approx(0.5)


@pytest.mark.parametrize("lasts_s", [0.12, 0.3, 0.5, 0.8, 1.6, 3.0, 9.0])
@pytest.mark.parametrize("footage_s", [0.0, 0.2, 0.6])
def test_a_new_piece_joins_its_neighbours_and_the_head_never_jumps(lasts_s, footage_s):
    if footage_s > retime.FASTEST * lasts_s:
        pytest.skip("far too much footage: there is a cut")
    pieces = made(
        (True, 1.0, 0, 1.0), (False, lasts_s, 1.0, 1.0 + footage_s), (True, 1.0, 1.0 + footage_s, 2.0 + footage_s)
    )
    frames = retime.frames(pieces, *source(), [0])
    steps = np.abs(np.diff(frames.at_N))
    assert steps.max() <= retime.FASTEST + 1e-6
    assert 0 <= frames.at_N.min() and frames.at_N.max() <= T - 1


@pytest.mark.parametrize("at_s", [0.0, 3.0])
def test_words_put_before_the_first_or_after_the_last_frame_stay_within_the_footage(at_s):
    new = (False, 2.0, at_s, at_s)
    frames = retime.frames(
        made(*((new, (True, 3.0, 0, 3.0)) if at_s == 0 else ((True, 3.0, 0, 3.0), new))), *source(), [0]
    )
    assert 0 <= frames.at_N.min() and frames.at_N.max() <= T - 1
    assert np.abs(np.diff(frames.at_N)).max() < 1.2
    assert np.ptp(frames.at_N[frames.new_N]) > 5  # it moves


def test_footage_that_goes_back_and_forth_stays_in_its_shot():
    frames = retime.frames(made((True, 2.0, 0, 2.0), (False, 3.0, 2.0, 2.0), (True, 1.0, 2.0, 3.0)), *source(), [0, 50])
    assert frames.at_N[frames.new_N].max() <= 49


def test_far_too_much_footage_is_cut_once_in_the_middle_of_the_piece():
    frames = retime.frames(made((True, 1.0, 0, 1.0), (False, 0.4, 1.0, 2.0), (True, 1.0, 2.0, 3.0)), *source(), [0])
    assert np.flatnonzero(np.diff(frames.at_N) != 1).tolist() == [29]
