"""The gate for new checkpoints: every floor must hold, the audit be clean, and the champion not be better."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.params import RetrainParams
from tasks.evaluate import compare
from tasks.evaluate.compare import ByClip


@dataclass(frozen=True, slots=True)
class Reason:
    """One demand and its result."""

    demand: str
    found: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    reasons: Sequence[Reason]

    @property
    def promoted(self) -> bool:
        return all(reason.holds for reason in self.reasons)

    def lines(self) -> list[str]:
        return [f"{'holds' if each.holds else 'FAILS'}  {each.demand}: {each.found}" for each in self.reasons]

    def as_dict(self) -> dict[str, Any]:
        return {"promoted": self.promoted, "reasons": [asdict(reason) for reason in self.reasons]}

    def sentence(self) -> str:
        """The deciding reasons in one line."""
        deciding = [each for each in self.reasons if not each.holds] or self.reasons
        return "; ".join(f"{each.demand}: {each.found}" for each in deciding)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation: reports/metrics.json, reports/plots/clips.csv, and the hash of every test clip."""

    panel: dict[str, Any]
    by_clip: ByClip
    clips: dict[str, str]  # clip -> member_sha256 in the index
    method: str  # what decides the figures besides checkpoint and clips


def judge(challenger: Evaluation, champion: Evaluation | None, findings: Sequence[str], p: RetrainParams) -> Judgement:
    """`findings`: of the audit; `champion`: None if no version serves."""
    reasons = [*_floors(challenger, p)]
    audit = Reason("audit", findings[0] if findings else "clean", not findings)
    return Judgement([*reasons, _against(challenger, champion, p), audit])


def _floors(challenger: Evaluation, p: RetrainParams) -> list[Reason]:
    right, wrong, moved = (challenger.panel[row] for row in ("right_audio", "wrong_audio", "moved_audio"))
    lags = [lag for lag in challenger.by_clip.get("aperture_lag_frames", {}).values() if lag is not None]
    in_sync = float(np.mean([abs(lag) <= 1 for lag in lags])) if lags else 0.0
    floors = [
        _floor("correlation with the right sound", right["aperture_corr"], p.min_aperture_corr, 1.0),
        _floor("amplitude", right["amplitude_ratio"], p.min_amplitude_ratio, p.max_amplitude_ratio),
        _floor("correlation with a wrong sound", wrong["aperture_corr"], -1.0, p.max_wrong_audio_corr),
        _floor("correlation with its own sound moved", moved["aperture_corr"], -1.0, p.max_moved_audio_corr),
        _floor("share in sync", in_sync, p.min_in_sync, 1.0),
    ]
    hard = [row["aperture_corr"] for name, row in challenger.panel.items() if name.startswith("hard_")]
    measured = [value for value in hard if value is not None]
    if hard:
        floors.append(_floor("mean of the hard cases", float(np.mean(measured or [np.nan])), p.min_hard_corr, 1.0))
    return floors


def _floor(what: str, value: float | None, low: float, high: float) -> Reason:
    number = float("nan") if value is None else value
    return Reason(f"{what} from {low:g} to {high:g}", f"{number:.3f}", low <= number <= high)


def _against(challenger: Evaluation, champion: Evaluation | None, p: RetrainParams) -> Reason:
    """Paired comparison on the test clips that have the same bytes for both."""
    demand = f"{p.metric} {p.promote.replace('_', ' ')} than the champion's"
    if champion is None:
        return Reason(demand, "no version serves", True)
    if champion.method != challenger.method:
        return Reason(demand, "they were measured by different methods; evaluate the champion again", False)
    same = {clip for clip, sha256 in challenger.clips.items() if champion.clips.get(clip) == sha256}
    # a clip that could not be measured is None and counts as the worst value
    theirs, ours = (evaluation.by_clip.get(p.metric, {}) for evaluation in (champion, challenger))
    common = same & theirs.keys() & ours.keys()
    if len(common) < p.min_clips:
        return Reason(demand, f"{len(common)} test clips in common, {p.min_clips} are needed", False)
    a, b = ({clip: values[clip] for clip in sorted(common)} for values in (theirs, ours))
    pair = compare.paired(a, b, p.metric)
    result = f"{pair.verdict}: {pair.difference:+.3f}, 95 % interval {pair.low:+.3f} to {pair.high:+.3f}"
    holds = pair.verdict == "better" or (p.promote == "not_worse" and pair.verdict != "worse")
    return Reason(demand, f"{result}, on {len(common)} clips", holds)
