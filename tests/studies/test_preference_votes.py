"""Votes of the blind preference test: known intervals, each session once, invalid files refused."""

import json

import pytest

from model.metrics.registry import wilson
from tasks.core.errors import UserError
from tasks.studies import preference_votes


def vote(chosen: str, left: str = "right_audio", right: str = "wrong_audio") -> dict:
    return {"clip": "a", "left": left, "right": right, "chosen": chosen, "seconds": 3.1}


def answers(path, votes, session="s1", kind=preference_votes.FORMAT):
    path.write_text(json.dumps({"format": kind, "session": session, "votes": votes}))
    return path


@pytest.mark.parametrize(
    ("wins", "num", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_has_its_textbook_values(wins, num, low, high):
    assert wilson(wins, num) == pytest.approx((low, high), abs=1e-4)


def test_the_side_of_a_video_does_not_matter(tmp_path):
    votes = [vote("right_audio"), vote("right_audio", "wrong_audio", "right_audio")] * 5
    [score] = preference_votes.score(preference_votes.read([answers(tmp_path / "a.json", votes)]))
    assert (score.first, score.second, score.wins, score.votes) == ("right_audio", "wrong_audio", 10, 10)
    assert score.verdict == "first" and score.low > 0.7
    [line] = preference_votes.lines([score])
    assert "chosen 10 of 10 times, 100%" in line and "people prefer right_audio" in line


def test_six_of_ten_cannot_tell_and_none_of_ten_prefers_the_other():
    assert preference_votes.score([vote("right_audio")] * 6 + [vote("wrong_audio")] * 4)[0].verdict == "cannot tell"
    assert preference_votes.score([vote("wrong_audio")] * 10)[0].verdict == "second"


def test_a_file_that_is_given_twice_counts_once_and_another_session_counts_too(tmp_path):
    one = answers(tmp_path / "a.json", [vote("right_audio")] * 3)
    two = answers(tmp_path / "b.json", [vote("right_audio")] * 2, session="s2")
    assert len(preference_votes.read([one, one])) == 3
    assert len(preference_votes.read([one, two])) == 5


def test_invalid_files_of_votes_are_refused(tmp_path):
    with pytest.raises(UserError, match="format is 'other'"):
        preference_votes.read([answers(tmp_path / "a.json", [], kind="other")])
    with pytest.raises(UserError, match="a vote for 'silence'"):
        preference_votes.read([answers(tmp_path / "b.json", [vote("silence")])])
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(UserError, match="not a file of votes"):
        preference_votes.read([tmp_path / "c.json"])
    with pytest.raises(UserError, match="no such file"):
        preference_votes.read([tmp_path / "none.json"])
    with pytest.raises(UserError, match="contain no votes"):
        preference_votes.score([])
