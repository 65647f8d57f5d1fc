"""When a training is ill: rules over its curve, each with the cause and what to do.

The curve is what the trainer logs: one row every `train.log_every` steps, some with `val_` figures. A rule looks at
nothing else, so a training that is stopped and goes on raises the same alarms.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.params import AlarmParams

Row = Mapping[str, float]
AWAKE = 2.0  # times the least motion or effect: a mouth that had this much and lost it was better before


@dataclass(frozen=True, slots=True)
class Alarm:
    """`goes_back`: an earlier checkpoint was better, so training returns to it; if not, going on may still cure it."""

    name: str
    cause: str
    cure: str
    goes_back: bool


NOT_FINITE = Alarm(
    "not_finite", "loss or gradient not finite", "lower train.lr, or set train.precision: fp32", goes_back=True
)


def check(curve: Sequence[Row], p: AlarmParams) -> list[Alarm]:
    """The alarms of the last row, the gravest first; none where all is well."""
    if not is_finite(curve[-1]):
        return [NOT_FINITE]
    return [alarm for rule in (_diverged, _collapsed, _still, _deaf) if (alarm := rule(curve, p))]


def good(curve: Sequence[Row], p: AlarmParams) -> bool:
    """Whether a checkpoint made now is worth going back to: no rule's condition holds, be it for one row only."""
    if not curve or not is_finite(curve[-1]):
        return False
    late = curve[-1]["step"] > p.grace_steps
    return not (_is_high(curve, len(curve) - 1, p) or (late and _is_flat(curve[-1], p)) or _ill_mouth(curve, p))


def _diverged(curve: Sequence[Row], p: AlarmParams) -> Alarm | None:
    last = range(len(curve) - p.patience, len(curve))
    if last[0] < 1 or not all(_is_high(curve, at, p) for at in last):
        return None
    lowest = min(row["l1"] for row in curve)
    return Alarm(
        "diverged",
        f"the generated faces get worse: L1 {curve[-1]['l1']:.4f}, and it was {lowest:.4f}",
        "lower train.lr and train.lr_discriminator, or train.terms.sync.weight",
        goes_back=True,
    )


def _collapsed(curve: Sequence[Row], p: AlarmParams) -> Alarm | None:
    last = curve[-p.patience :]
    if len(last) < p.patience or last[0]["step"] <= p.grace_steps or not all(_is_flat(row, p) for row in last):
        return None
    return Alarm(
        "discriminator_collapsed",
        f"every pair is {curve[-1]['distance_right']:.3f} apart to the discriminator, in sync or not",
        "lower train.lr_discriminator, or raise train.batch_size; check that sound and picture of the videos are in "
        "sync",
        goes_back=any(_spread(row) > AWAKE * p.min_spread for row in curve if row["step"] > p.grace_steps),
    )


def _still(curve: Sequence[Row], p: AlarmParams) -> Alarm | None:
    value = curve[-1].get("val_motion_ratio")
    if value is None or curve[-1]["step"] <= p.grace_steps or value >= p.min_motion:
        return None
    return Alarm(
        "mouth_still",
        f"the generated mouth moves {value:.0%} as much as the real one",
        "raise train.lip_alpha or train.terms.sync.weight; if it has just begun to move, raise train.num_steps",
        goes_back=_was_awake(curve, "val_motion_ratio", p.min_motion),
    )


def _deaf(curve: Sequence[Row], p: AlarmParams) -> Alarm | None:
    value = curve[-1].get("val_audio_effect")
    if value is None or curve[-1]["step"] <= p.grace_steps or value >= p.min_audio_effect:
        return None
    return Alarm(
        "copies_reference",
        f"right and wrong sound give the same mouth (effect {value:.3f}): it is copied from the other frame",
        "raise train.terms.sync.weight or train.identity_min_frames, or train longer",
        goes_back=_was_awake(curve, "val_audio_effect", p.min_audio_effect),
    )


def is_finite(row: Row) -> bool:
    """Whether every step that a row is the mean of was finite."""
    return row["finite"] >= 1 and math.isfinite(row["g_loss"]) and math.isfinite(row["d_loss"])


def _is_high(curve: Sequence[Row], at: int, p: AlarmParams) -> bool:
    return at > 0 and curve[at]["l1"] > p.divergence * min(row["l1"] for row in curve[:at])


def _spread(row: Row) -> float:
    distances = [row[f"distance_{kind}"] for kind in ("right", "generated", "wrong")]
    return max(distances) - min(distances)


def _is_flat(row: Row, p: AlarmParams) -> bool:
    return _spread(row) < p.min_spread


def _ill_mouth(curve: Sequence[Row], p: AlarmParams) -> bool:
    """Only what was lost is an illness: a mouth that has never moved has no better past."""
    alarms = (_still(curve, p), _deaf(curve, p))
    return any(alarm is not None and alarm.goes_back for alarm in alarms)


def _was_awake(curve: Sequence[Row], name: str, least: float) -> bool:
    return any(row[name] >= AWAKE * least for row in curve[:-1] if name in row)
