"""The JSON beside a dubbed video: what was changed and where to check by eye. It has no date and no folder names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.dubbing.hear import Line
from tasks.dubbing.look import Seen
from tasks.dubbing.plan import Plan
from tasks.dubbing.script import Script
from tasks.dubbing.speaker import Choice
from tasks.media import upright
from tasks.media.frame import Geometry

SIDECAR_VERSION = 1  # raise it when a key goes or changes its meaning


def describe(scripts: Sequence[Script], measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The entries about the frames.  scripts: of each speaker.  measured: seam and confidence of each segment"""
    seen, plan = scripts[0].seen, scripts[0].plan
    changed_N = np.any([script.plan.weight_N > 0 for script in scripts], axis=0)
    return {
        "version": SIDECAR_VERSION,
        "frames": len(plan.source_N),
        "duration_s": round(float(plan.ends_s[-1]), 4),
        "changed": int(changed_N.sum()),
        "changed_spans": spans(changed_N, plan),
        "passed_through": [span for script in scripts for span in passed(script)],
        "lines": sorted(
            (one_line(line, script) for script in scripts for line in script.lines), key=lambda one: one["start_s"]
        ),
        "scene_cuts_s": [round(float(seen.times_s[t]), 3) for t in seen.shots[1:]],
        "faces": [one_face(number, seen, [script.choice for script in scripts]) for number in range(len(seen.faces))],
        "speaker_by": "; ".join(dict.fromkeys(script.choice.why for script in scripts)),
        "found_by": seen.how,
        "seam_levels": [segment["seam_levels"] for segment in measured],
        "confidence": [span for segment in measured for span in segment["confidence"]],
    }


def one_line(line: Line, script: Script) -> dict[str, Any]:
    """faces: that say it; none where the speaker is out of view"""
    seen, who_T = script.seen, script.choice.who_T
    shown_T = (seen.ends_s > line.start_s) & (seen.times_s < line.end_s)
    who_T = who_T if len(seen.times_s) == 1 else who_T[shown_T]
    return {
        "file": line.path.name,
        "start_s": round(line.start_s, 3),
        "end_s": round(line.end_s, 3),
        "heard": "separated" if line.separated else "raw",
        **({"tracks": line.tracks} if line.tracks else {}),
        **({"speaker": named(line.span.speaker)} if line.span.speaker else {}),
        "faces": sorted(set(who_T[who_T >= 0].tolist())),
        **line.span.about,
    }


def named(speaker: str) -> str:
    """A speaker as it was asked for; of a picture its name, without folders."""
    return Path(speaker).name if Path(speaker).is_file() else speaker


def source(geometry: Geometry) -> dict[str, Any]:
    """How the face's file is stored, and what made it upright; the boxes are in the upright picture's square pixels."""
    (width, height), aspect = geometry.stored_wh, geometry.aspect
    return {
        "stored": [width, height],
        "orientation": geometry.orientation,
        "shown": upright.WORDS[geometry.orientation],
        "pixel_aspect": f"{aspect.numerator}:{aspect.denominator}",
    }


def one_face(number: int, seen: Seen, choices: Sequence[Choice]) -> dict[str, Any]:
    """likeness: with the person that the face is dubbed as, else with the one that it is most like"""
    face, agreement = seen.faces[number], choices[0].agreement[number]
    dubbed = [choice for choice in choices if (choice.who_T == number).any()]
    likeness = max((value for one in dubbed or choices if (value := one.likeness[number]) is not None), default=None)
    return {
        "number": number,
        "from_s": round(float(seen.times_s[face.first]), 3),
        "to_s": round(float(seen.ends_s[face.end - 1]), 3),
        "box": [round(float(side)) for side in np.median(face.boxes_N4, axis=0)],
        "agreement": None if agreement is None else round(agreement, 3),
        "likeness": None if likeness is None else round(likeness, 3),
        "dubbed": bool(dubbed),
    }


def runs(flags_N: np.ndarray) -> list[tuple[int, int]]:
    """First and end (exclusive) of each run of True."""
    steps = np.diff(np.concatenate([[0], flags_N.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


def spans(flags_N: np.ndarray, plan: Plan) -> list[dict[str, Any]]:
    return [
        {"first": first, "last": end - 1, "from_s": round(float(plan.times_s[first]), 3),
         "to_s": round(float(plan.ends_s[end - 1]), 3)}
        for first, end in runs(flags_N)
    ]  # fmt: skip


def passed(script: Script) -> list[dict[str, Any]]:
    """Spans of frames that stay unchanged although they are to be dubbed, with the reason."""
    plan = script.plan
    why_N = np.where(plan.wanted_N, plan.why_T[plan.source_N], "")
    return [
        {**span, "reason": str(reason)}
        for reason in sorted(set(why_N[why_N != ""].tolist()))
        for span in spans(why_N == reason, plan)
    ]
