import re
from functools import reduce

import pytest
from conftest import ROOT

from model import alarms
from model.params import AlarmParams
from tasks.core import config

REPOSITORY = config.load(ROOT / "params.yaml")
P = AlarmParams(
    grace_steps=100, patience=2, divergence=2.0, min_spread=0.01, min_motion=0.1, min_audio_effect=0.02,
    lr_factor=0.5, max_rollbacks=2,
)  # fmt: skip
WELL = {
    "finite": 1.0, "g_loss": 0.1, "d_loss": 0.9, "l1": 0.1,
    "distance_right": 0.8, "distance_generated": 0.9, "distance_wrong": 1.1,
}  # fmt: skip
FLAT = {"distance_right": 1.0, "distance_generated": 1.001, "distance_wrong": 1.002}
SEEN = {"val_motion_ratio": 0.5, "val_audio_effect": 0.2}


def curve(*rows, start=100):
    """Rows ten steps apart, the first just past the grace."""
    return [WELL | row | {"step": start + 10 * (k + 1)} for k, row in enumerate(rows)]


def name_of(rows, p=P):
    found = [(alarm.name, alarm.goes_back) for alarm in alarms.check(rows, p)]
    return found[0] if found else None


def test_a_healthy_curve_raises_no_alarm():
    assert name_of(curve({}, {}, SEEN, {"l1": 0.19})) is None
    assert alarms.good(curve({}, {}, SEEN), P)


@pytest.mark.parametrize("bad", [{"finite": 0.9}, {"g_loss": float("nan")}, {"d_loss": float("inf")}])
def test_a_row_that_is_not_finite_is_one_at_any_step(bad):
    rows = curve({}, bad, start=0)
    assert name_of(rows) == ("not_finite", True)
    assert not alarms.good(rows, P)


def test_faces_that_get_worse_for_longer_than_patience_are_divergence():
    assert name_of(curve({}, {"l1": 0.3})) is None
    assert name_of(curve({}, {"l1": 0.3}, {"l1": 0.3})) == ("diverged", True)
    assert name_of(curve({}, {"l1": 0.3}, {"l1": 0.1}, {"l1": 0.3})) is None


def test_a_state_saved_while_faces_get_worse_is_not_good():
    assert not alarms.good(curve({}, {"l1": 0.3}), P)


def test_equal_distances_are_a_collapse_and_roll_back_only_if_they_differed_before():
    assert name_of(curve({}, FLAT, FLAT)) == ("discriminator_collapsed", True)
    assert name_of(curve(FLAT, FLAT)) == ("discriminator_collapsed", False)
    assert name_of(curve(FLAT, FLAT, start=0)) is None


@pytest.mark.parametrize(
    ("lost", "name"),
    [({"val_motion_ratio": 0.05}, "mouth_still"), ({"val_audio_effect": 0.01}, "copies_reference")],
)
def test_lost_motion_rolls_back_and_motion_that_never_began_does_not(lost, name):
    assert name_of(curve(SEEN, SEEN | lost)) == (name, True)
    assert not alarms.good(curve(SEEN, SEEN | lost), P)
    assert name_of(curve(SEEN | lost, SEEN | lost)) == (name, False)
    assert alarms.good(curve(SEEN | lost), P)
    assert name_of(curve(SEEN | lost, start=0)) is None, "within the grace"
    assert name_of(curve(SEEN | lost, {})) is None, "reported when it is measured, not at every row"


def test_two_problems_are_two_alarms():
    both = SEEN | {"val_motion_ratio": 0.0, "val_audio_effect": 0.0}
    assert [alarm.name for alarm in alarms.check(curve(both), P)] == ["mouth_still", "copies_reference"]


def test_every_alarm_says_the_cause_and_a_parameter_to_change():
    troubled = [
        curve({"finite": 0.0}), curve({}, {"l1": 0.3}, {"l1": 0.3}), curve({}, FLAT, FLAT),
        curve(SEEN | {"val_motion_ratio": 0.0}), curve(SEEN | {"val_audio_effect": 0.0}),
    ]  # fmt: skip
    raised = [alarm for rows in troubled for alarm in alarms.check(rows, P)]
    assert len({alarm.name for alarm in raised}) == 5
    for alarm in raised:
        named = re.findall(r"train\.[a-z_.]*[a-z_]", alarm.fix)
        assert alarm.cause and named
        for name in named:
            reduce(getattr, name.split(".")[1:], REPOSITORY.train)  # is a parameter
