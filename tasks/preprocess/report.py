"""reports/preprocess.json: the counts and the distributions of an index."""

from collections import Counter
from typing import Any

import numpy as np

from tasks.storage import index
from tasks.storage.table_rows import Rows

SPLITS = ("train", "val", "test", "hard")
QUARTILES = ("face_px", "yaw_deg", "spread_db", "steady_db", "sound_db", "av_confidence", "duration_s")

COLUMNS = (  # of the index
    *QUARTILES, "split", "reason", "num_frames", "found_share", "case", "av_offset", "av_moved", "flags",
)  # fmt: skip


def of(rows: Rows) -> dict[str, Any]:
    """Column by column: a corpus has more rows than fit into memory as dicts."""
    kept = index.kept(rows)
    return {
        "kept": len(kept),
        "refused": len(rows) - len(kept),
        "refused_by_reason": index.refused_by_reason(rows),
        "kept_by_split": {split: len(kept.where(split=split)) for split in SPLITS},
        "frames": sum(kept.column("num_frames")),
        "frames_with_a_face": sum(_with_face(kept)),
        "found_share_by_case": {case: _found_share(kept.where(case=case)) for case in sorted({*kept.column("case")})},
        "clips_by_av_offset_frames": {
            str(late): num for late, num in sorted(Counter(kept.column("av_offset")).items())
        },
        "clips_with_sound_moved": sum(moved != 0 for moved in kept.column("av_moved")),
        "flagged": dict(sorted(Counter(word for flags in kept.column("flags") for word in flags.split(",") if word)
                               .items())),
        "quartiles": {
            name: [round(float(q), 4) for q in np.percentile(kept.column(name) or [0], (25, 50, 75))]
            for name in QUARTILES
        },
        "hours": round(sum(kept.column("duration_s")) / 3600, 4),
    }  # fmt: skip


def _with_face(kept: Rows) -> list[int]:
    pairs = zip(kept.column("num_frames"), kept.column("found_share"), strict=True)
    return [round(num_frames * share) for num_frames, share in pairs]


def _found_share(kept: Rows) -> float:
    """Of the frames of these clips."""
    return round(float(np.average(kept.column("found_share"), weights=kept.column("num_frames"))), 4)
