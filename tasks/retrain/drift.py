"""Data drift: the current index against the index the champion was trained on, column by column."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from tasks.storage import index
from tasks.storage.table_rows import Rows

# monitored columns of the index; columns that a champion's older index lacks are skipped
COLUMNS = ("face_px", "duration_s", "found_share", "yaw_deg", "av_offset", "av_confidence", "spread_db", "steady_db")
MIN_CLIPS = 5


@dataclass(frozen=True, slots=True)
class Drift:
    """`ks`: the largest distance between the two distribution functions, 0 to 1. `flagged`: above the limit."""

    column: str
    champion_median: float
    median: float
    ks: float
    flagged: bool


def compare(before: Rows, now: Rows, limit: float) -> dict[str, Any]:
    """The kept clips of both indexes: how many are new, removed and refused, and the columns that drifted."""
    kept_before, kept_now = index.kept(before), index.kept(now)
    clips_before, clips_now = ({*rows.column("clip")} for rows in (kept_before, kept_now))
    columns = [drift for name in COLUMNS if (drift := _column(name, kept_before, kept_now, limit))]
    return {
        "clips": [len(clips_before), len(clips_now)],
        "new": len(clips_now - clips_before),
        "gone": len(clips_before - clips_now),
        "refused_share": [
            round(1 - len(kept) / max(1, len(rows)), 4) for kept, rows in ((kept_before, before), (kept_now, now))
        ],
        "columns": {each.column: {k: v for k, v in asdict(each).items() if k != "column"} for each in columns},
        "flagged": [each.column for each in columns if each.flagged],
    }


def _column(name: str, before: Rows, now: Rows, limit: float) -> Drift | None:
    a, b = (np.array([value for value in rows.column(name) if value is not None], float) for rows in (before, now))
    if min(len(a), len(b)) < MIN_CLIPS:
        return None
    distance = ks_2samp(a, b)
    # large and significant: with few clips the distance can be large by chance
    flagged = distance.statistic >= limit and distance.pvalue < 0.01
    then, since = (round(float(np.median(values)), 6) for values in (a, b))
    return Drift(name, then, since, round(float(distance.statistic), 6), bool(flagged))


def lines(report: dict[str, Any]) -> list[str]:
    """The report of `compare` as text."""
    then, now = report["clips"]
    text = [f"{report['new']} clips are new, {report['gone']} were removed: {then} then, {now} now"]
    for name in report["flagged"]:
        column = report["columns"][name]
        medians = f"median {column['champion_median']:g} then, {column['median']:g} now"
        text.append(f"drift in {name}: {medians} (KS distance {column['ks']:.2f})")
    return text if report["flagged"] else [*text, "no drift in " + (", ".join(report["columns"]) or "any column")]
