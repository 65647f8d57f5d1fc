"""The JSON beside a dubbed video: what was changed and where to check by eye. It has no date and no folder names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.dubbing.look import Seen
from tasks.dubbing.plan import Plan
from tasks.dubbing.script import Script
from tasks.dubbing.speaker import Choice
from tasks.media import upright
from tasks.media.frame import Geometry

SIDECAR_VERSION = 1  # raise it when a key goes or changes its meaning


def describe(script: Script, measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The entries about the frames.  measured: seam and confidence of each segment"""
    seen, choice, plan = script.seen, script.choice, script.plan
    weight_N = plan.weight_N
    return {
        "version": SIDECAR_VERSION,
        "frames": len(plan.source_N),
        "duration_s": round(float(plan.ends_s[-1]), 4),
        "changed": int((weight_N > 0).sum()),
        "changed_spans": spans(weight_N > 0, plan),
        "passed_through": passed(plan),
        "lines": [
            {
                "file": line.path.name,
                "start_s": round(line.start_s, 3),
                "end_s": round(line.end_s, 3),
                "heard": "separated" if line.separated else "raw",
                **({"tracks": line.tracks} if line.tracks else {}),
            }
            for line in script.lines
        ],
        "scene_cuts_s": [round(float(seen.times_s[t]), 3) for t in seen.shots[1:]],
        "faces": [one_face(number, seen, choice) for number in range(len(seen.faces))],
        "speaker_by": choice.why,
        "found_by": seen.how,
        "seam_levels": [segment["seam_levels"] for segment in measured],
        "confidence": [span for segment in measured for span in segment["confidence"]],
    }


def source(geometry: Geometry) -> dict[str, Any]:
    """How the face's file is stored, and what made it upright; the boxes are in the upright picture's square pixels."""
    (width, height), aspect = geometry.stored_wh, geometry.aspect
    return {
        "stored": [width, height],
        "orientation": geometry.orientation,
        "shown": upright.WORDS[geometry.orientation],
        "pixel_aspect": f"{aspect.numerator}:{aspect.denominator}",
    }


def one_face(number: int, seen: Seen, choice: Choice) -> dict[str, Any]:
    face = seen.faces[number]
    agreement, likeness = choice.agreement[number], choice.likeness[number]
    return {
        "number": number,
        "from_s": round(float(seen.times_s[face.first]), 3),
        "to_s": round(float(seen.ends_s[face.end - 1]), 3),
        "box": [round(float(side)) for side in np.median(face.boxes_N4, axis=0)],
        "agreement": None if agreement is None else round(agreement, 3),
        "likeness": None if likeness is None else round(likeness, 3),
        "dubbed": bool((choice.who_T == number).any()),
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


def passed(plan: Plan) -> list[dict[str, Any]]:
    """Spans of frames that stay unchanged although they are to be dubbed, with the reason."""
    why_N = plan.why_T[plan.source_N]
    return [
        {**span, "reason": str(reason)}
        for reason in sorted(set(why_N[why_N != ""].tolist()))
        for span in spans(why_N == reason, plan)
    ]
