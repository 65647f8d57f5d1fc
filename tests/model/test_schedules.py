import pytest

from model.params import TermParams
from model.schedules import Schedules


def term(**changes):
    return TermParams(**{"weight": 2.0, "begin": 0.0, "ramp": 0.0, "metric": "none", "below": 0.0} | changes)


def followed(term, steps=10):
    schedules = Schedules({"a": term}, steps)
    return [schedules.weights(step)["a"] for step in range(steps)]


def test_a_term_begins_at_its_share_of_the_steps():
    assert followed(term(begin=0.5)) == [0.0] * 5 + [2.0] * 5


def test_a_ramp_rises_in_a_line_to_the_whole_weight():
    assert followed(term(begin=0.2, ramp=0.4)) == pytest.approx([0, 0, 0.5, 1.0, 1.5, 2, 2, 2, 2, 2])


def test_a_term_with_a_metric_waits_for_it_and_never_stops_again():
    schedules = Schedules({"a": term(metric="val_expert_loss", below=0.75)}, 10)
    assert schedules.weights(0)["a"] == 0
    assert schedules.see({"val_expert_loss": 0.8}, 3) == [] and schedules.weights(4)["a"] == 0
    assert schedules.see({"val_expert_loss": 0.7}, 5) == ["a"]
    assert [schedules.weights(step)["a"] for step in (5, 6, 9)] == [0, 2.0, 2.0]
    assert schedules.see({"val_expert_loss": 0.9}, 7) == [] and schedules.weights(8)["a"] == 2.0


def test_a_metric_does_not_begin_a_term_before_its_share_of_the_steps():
    schedules = Schedules({"a": term(metric="val_expert_loss", below=0.75, begin=0.5)}, 10)
    assert schedules.see({"val_expert_loss": 0.1}, 2) == []
    assert schedules.see({"val_expert_loss": 0.1}, 4) == ["a"]


def test_active_terms_stay_active_after_a_resume():
    terms = {"a": term(metric="val_mouth_l1", below=0.1, ramp=0.5), "b": term()}
    whole, resumed = Schedules(terms, 10), Schedules(terms, 10)
    for step in range(4):
        whole.weights(step)
        whole.see({"val_mouth_l1": 0.05}, step)
    resumed.load_state_dict(whole.state_dict())
    assert [resumed.weights(step) for step in range(4, 10)] == [whole.weights(step) for step in range(4, 10)]
    assert resumed.weights(4)["a"] > 0
    with pytest.raises(ValueError, match="do not fit"):
        Schedules({"a": term()}, 10).load_state_dict(whole.state_dict())
