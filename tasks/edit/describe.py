"""An edit in words: what its plan prints, its JSON, and the actions of its C2PA manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.edit.film import Film
from tasks.edit.joints import Joint
from tasks.edit.pieces import Piece
from tasks.edit.sound import Edited, Made

DONE = {(True, False): "cut", (False, True): "inserted", (True, True): "replaced"}  # by whether words go and come


def edits(edited: Edited) -> list[dict[str, Any]]:
    """Each change in seconds and words."""
    return [
        {
            "what": DONE[bool(one.removed), bool(one.added)],
            "removed": " ".join(one.removed),
            "added": " ".join(one.added),
            "said_by": list(one.origins),
            "source_from_s": round(one.source_start_s, 3),
            "source_to_s": round(one.source_end_s, 3),
            "from_s": round(one.at_s, 3),
            "to_s": round(end_of(one, edited.pieces), 3),
        }
        for one in edited.changes
    ]


def end_of(one: Made, pieces: Sequence[Piece]) -> float:
    """Where the new words of a change end in the edited video; of a cut, where it is."""
    end_s = one.at_s
    for piece in pieces:
        if not piece.kept and piece.start_s < end_s + 1e-6 < piece.end_s + 1e-6:
            end_s = piece.end_s
    return end_s


def piece(one: Piece) -> dict[str, Any]:
    return {
        "origin": one.origin,
        "words": " ".join(one.words),
        "from_s": round(one.start_s, 3),
        "to_s": round(one.end_s, 3),
        "source_from_s": round(one.source_start_s, 3),
        "source_to_s": round(one.source_end_s, 3),
    }


def joint(one: Joint, film: Film) -> dict[str, Any]:
    """Where the picture jumps in the source, and how that is hidden."""
    return {
        "at_s": round(float(film.frames.times_s[one.n]), 3),
        "source_from_s": round(float(film.times_s[one.before]), 3),
        "source_to_s": round(float(film.times_s[one.after]), 3),
        "jump_px": round(one.jump_px, 2) if np.isfinite(one.jump_px) else None,
        "frames_off_sound": one.shifted,
        "smoothed_frames": 2 * one.half,
    }


def actions(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of the C2PA manifest: one `c2pa.edited` for each change."""
    return [
        {
            "action": "c2pa.edited",
            "description": line(one),
            "changes": [{
                "description": line(one),
                "region": [{"type": "temporal", "time": {
                    "type": "npt", "start": f"{one['from_s']:.3f}", "end": f"{one['to_s']:.3f}"}}],
            }],
        }
        for one in found
    ]  # fmt: skip


def line(one: Mapping[str, Any]) -> str:
    """One change, for people."""
    source = f"{one['source_from_s']:.2f} .. {one['source_to_s']:.2f} s"
    if one["what"] == "cut":
        return f"cut '{one['removed']}' ({source} of the source)"
    by = f"said by {'; '.join(one['said_by'])}" if one["said_by"] else ""
    where = f"{one['from_s']:.2f} .. {one['to_s']:.2f} s"
    if one["what"] == "inserted":
        return f"inserted '{one['added']}' at {where}, {by}"
    return f"replaced '{one['removed']}' ({source} of the source) by '{one['added']}' at {where}, {by}"


def plan(edited: Edited) -> list[str]:
    """What `--dry-run` prints."""
    lines = [line(one) for one in edits(edited)] or ["nothing changes"]
    for one in edited.pieces:
        words = " ".join(one.words)
        lines.append(
            f"{one.start_s:8.2f} {one.end_s:8.2f}  {one.origin:<9} "
            f"{one.source_start_s:8.2f} {one.source_end_s:8.2f}  {words}".rstrip()
        )
    return [*lines, *edited.notes]


def summary(target: Path, about: Mapping[str, Any]) -> str:
    found = about["edits"]
    kinds = [f"{sum(one['what'] == what for one in found)} {what}" for what in DONE.values()]
    return (
        f"edit: {target}: {about['frames']} frames, {about['duration_s']:.2f} s; {', '.join(kinds)}; "
        f"{about['changed']} frames with a new mouth, {len(about['joints'])} joints; what and why: "
        f"{target.with_suffix('.json')}"
    )
