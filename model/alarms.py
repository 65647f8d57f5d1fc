"""Training-health checks over the logged curve: each alarm names the cause and the fix.

The curve is what the trainer logs: one row every `train.log_every` steps, some with `val_` figures. The rules read
nothing else, so an interrupted and resumed training raises the same alarms.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.params import AlarmParams

Row = Mapping[str, float]
RECOVERED = 2.0  # times the smallest allowed motion or effect: an earlier checkpoint with this much was better


@dataclass(frozen=True, slots=True)
class Alarm:
    """`goes_back`: an earlier checkpoint was better, so training returns to it. If not, more steps may still help."""

    name: str
    cause: str
    fix: str
    goes_back: bool


NOT_FINITE = Alarm(
    "not_finite", "loss or gradient not finite", "lower train.lr, or set train.precision: fp32", goes_back=True
)


def check(curve: Sequence[Row], p: AlarmParams) -> list[Alarm]:
    """The alarms of the last row, the most serious first."""
    if not is_finite(curve[-1]):
        return [NOT_FINITE]
    return [alarm for rule in (_diverged, _collapsed, _still, _ignores_audio) if (alarm := rule(curve, p))]


def good(curve: Sequence[Row], p: AlarmParams) -> bool:
    """Whether a checkpoint made now is worth returning to: no rule's condition holds in the last row."""
    if not curve or not is_finite(curve[-1]):
        return False
    late = curve[-1]["step"] > p.grace_steps
    return not (_is_high(curve, len(curve) - 1, p) or (late and _is_flat(curve[-1], p)) or _lost_motion(curve, p))


def _diverged(curve: Sequence[Row], p: AlarmParams) -> Alarm | None:
    last = range(len(curve) - p.patience, len(curve))
    if last[0] < 1 or not all(_is_high(curve, at, p) for at in last):
        return None
    lowest = min(row["l1"] for row in curve)
    return Alarm(
        "diverged",
        f"the generated faces get worse: L1 is {curve[-1]['l1']:.4f}, its lowest was {lowest:.4f}",
        "lower train.lr and train.lr_discriminator, or train.terms.sync.weight",
        goes_back=True,
    )


def _collapsed(curve: Sequence[Row], p: AlarmParams) -> Alarm | None:
    last = curve[-p.patience :]
    if len(last) < p.patience or last[0]["step"] <= p.grace_steps or not all(_is_flat(row, p) for row in last):
        return None
    return Alarm(
        "discriminator_collapsed",
        f"the discriminator puts every pair {curve[-1]['distance_right']:.3f} apart, in sync or not",
        "lower train.lr_discriminator, or raise train.batch_size; check that audio and video of the clips are in sync",
        goes_back=any(_spread(row) > RECOVERED * p.min_spread for row in curve if row["step"] > p.grace_steps),
    )


def _still(curve: Sequence[Row], p: AlarmParams) -> Alarm | None:
    value = curve[-1].get("val_motion_ratio")
    if value is None or curve[-1]["step"] <= p.grace_steps or value >= p.min_motion:
        return None
    return Alarm(
        "mouth_still",
        f"the generated mouth moves {value:.0%} as much as the real one",
        "raise train.lip_alpha or train.terms.sync.weight; if it has just begun to move, raise train.num_steps",
        goes_back=_had_more(curve, "val_motion_ratio", p.min_motion),
    )


def _ignores_audio(curve: Sequence[Row], p: AlarmParams) -> Alarm | None:
    value = curve[-1].get("val_audio_effect")
    if value is None or curve[-1]["step"] <= p.grace_steps or value >= p.min_audio_effect:
        return None
    return Alarm(
        "copies_reference",
        f"right and wrong audio give the same mouth (effect {value:.3f}): it is copied from the identity frame",
        "raise train.terms.sync.weight or train.identity_min_frames, or train longer",
        goes_back=_had_more(curve, "val_audio_effect", p.min_audio_effect),
    )


def is_finite(row: Row) -> bool:
    """Whether every step that the row averages was finite."""
    return row["finite"] >= 1 and math.isfinite(row["g_loss"]) and math.isfinite(row["d_loss"])


def _is_high(curve: Sequence[Row], at: int, p: AlarmParams) -> bool:
    return at > 0 and curve[at]["l1"] > p.divergence * min(row["l1"] for row in curve[:at])


def _spread(row: Row) -> float:
    distances = [row[f"distance_{kind}"] for kind in ("right", "generated", "wrong")]
    return max(distances) - min(distances)


def _is_flat(row: Row, p: AlarmParams) -> bool:
    return _spread(row) < p.min_spread


def _lost_motion(curve: Sequence[Row], p: AlarmParams) -> bool:
    """Whether the mouth moved before and no longer does; a mouth that has never moved has no better checkpoint."""
    alarms = (_still(curve, p), _ignores_audio(curve, p))
    return any(alarm is not None and alarm.goes_back for alarm in alarms)


def _had_more(curve: Sequence[Row], name: str, least: float) -> bool:
    return any(row[name] >= RECOVERED * least for row in curve[:-1] if name in row)
