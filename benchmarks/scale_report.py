"""The figures of benchmarks/scale.py as tables: growth by size, and what LRS2's 144,482 clips make of it.

exponent    of the growth: how a figure less that of the smallest size grows with the clips that were added; 1: as the
            clips do. None where it does not grow, or by less than a twentieth
line        constant + per_clip x clips, by least squares, and its value for LRS2
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import scale_corpus as corpus
from benchmarks.machine import RESULTS, commit, machine

Measured = dict[str, dict[str, dict[str, float]]]  # project, step, figure

SHOWN = {  # step -> figure -> unit
    "acquire": {"cpu_s": "s", "workers_cpu_s": "s", "peak_mb": "MB", "workers_peak_mb": "MB"},
    "preprocess": {"worker_ms_a_clip": "ms", "peak_mb": "MB", "workers_peak_mb": "MB"},
    "again": {"cpu_s": "s", "peak_mb": "MB"},
    "dvc": {"commit_cpu_s": "s", "checkout_cpu_s": "s", "commit_peak_mb": "MB", "clips_mb": "MB",
            "data_and_cache_mb": "MB"},
    "audit": {"cpu_s": "s", "peak_mb": "MB"},
    "queries": {"first_cpu_s": "s", "clip_cpu_s": "s", "video_cpu_s": "s", "mistyped_cpu_s": "s", "example_cpu_s": "s"},
    "withdraw": {"cpu_s": "s", "peak_mb": "MB"},
    "loader": {"opened_cpu_s": "s", "drawn_cpu_s": "s", "batch_cpu_ms": "ms", "anon_mb": "MB"},
}  # fmt: skip


def write(measured: Measured) -> None:
    """Prints the tables, and writes benchmarks/results/scale.json."""
    kinds = {
        title: {name: steps for name, steps in measured.items() if name.rpartition("-")[0] == kind}
        for title, kind in (("clips really run", ""), ("tables alone", "tables"), ("archives of tiny clips", "archive"))
    }
    result: dict[str, Any] = {"machine": machine(), "commit": commit(), "lrs2_clips": corpus.LRS2_CLIPS}
    for title, projects in kinds.items():
        if projects:
            fits = growth(projects)
            print(f"\n{title}\n{table(fits)}")
            result[title] = {"measured": projects, "growth": fits}
    (RESULTS / "scale.json").write_text(json.dumps(result, indent=2) + "\n")


def growth(projects: Measured) -> list[dict[str, Any]]:
    """A row for each figure: its values by number of clips, exponent, line, and the value for LRS2."""
    rows = []
    for step, figures in SHOWN.items():
        for figure, unit in figures.items():
            points = {
                clips(steps): round(value, 3)
                for steps in projects.values()
                if (value := _value(steps.get(step, {}), figure)) is not None
            }
            if len(points) > 2:
                rows.append({"step": step, "figure": figure, "unit": unit, "values": points} | fit(points))
    return rows


def clips(steps: Mapping[str, Mapping[str, float]]) -> int:
    """Of a project, as one of its steps has counted them."""
    return int(next(figures[name] for figures in steps.values() for name in ("clips", "index_rows") if name in figures))


def _value(figures: Mapping[str, float], name: str) -> float | None:
    if name == "worker_ms_a_clip":
        built = figures.get("built_clips")
        return 1000 * figures["workers_cpu_s"] / built if built else None
    return figures.get(name)


def fit(points: Mapping[int, float]) -> dict[str, Any]:
    """Shape: clips -> value, at least three"""
    num_N, value_N = (np.array(part, float) for part in zip(*sorted(points.items()), strict=True))
    per_clip, constant = np.polyfit(num_N, value_N, 1)
    more_N = value_N[1:] - value_N[0]
    exponent = None
    if (np.diff(value_N) > 0).all() and more_N[-1] > 0.05 * value_N[0]:
        exponent = round(float(np.polyfit(np.log(num_N[1:] - num_N[0]), np.log(more_N), 1)[0]), 2)
    at_lrs2 = points.get(corpus.LRS2_CLIPS, constant + per_clip * corpus.LRS2_CLIPS)
    return {"exponent": exponent, "constant": round(float(constant), 4), "per_clip": float(f"{per_clip:.3g}"),
            "lrs2": round(float(at_lrs2), 2)}  # fmt: skip


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    sizes = sorted({num for row in rows for num in row["values"]})
    head = ["step", "figure", *(f"{num:,}" for num in sizes), "exponent", f"LRS2: {corpus.LRS2_CLIPS:,}"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        values = [f"{row['values'][num]:g}" if num in row["values"] else "" for num in sizes]
        line = f"{row['constant']:g} + {row['per_clip']:g} n = {row['lrs2']:g} {row['unit']}"
        lines.append([row["step"], row["figure"], *values, str(row["exponent"] or "none"), line])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
