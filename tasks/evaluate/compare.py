"""Comparison of two checkpoints or commits over the same clips: better, worse, or cannot tell.

    python -m flows compare HEAD~1 HEAD
    python -m flows compare models/generator.safetensors other.safetensors

Commits are compared by the table of clips that each contains (reports/plots/clips.csv); nothing is run again.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model.metrics import registry
from model.metrics.registry import Paired
from tasks.core import paths, programs
from tasks.core.errors import UserError

# the deciding metrics: timing, amplitude and the mouth's picture; a better picture with a worse mouth is not better
HEADLINE = ("aperture_corr", "amplitude_ratio", "mouth_l1")
ROW, SPLIT = "right_audio", "test"
ByClip = dict[str, dict[str, float | None]]  # metric -> clip -> value


def paired(by_clip_a: Mapping[str, float | None], by_clip_b: Mapping[str, float | None], metric: str) -> Paired:
    """Whether B is better than A in `metric`, over the same clips (key -> value, None if it could not be measured).

    Errors: UserError if A and B were not measured on the same clips.
    """
    if different := set(by_clip_a) ^ set(by_clip_b):
        raise UserError(
            f"compare: {len(different)} clips are in only one of the two, e.g. {sorted(different)[0]}; "
            "evaluate both on the same data"
        )
    if not by_clip_a:
        raise UserError("compare: no clip to compare; evaluate both on a corpus with test clips")
    return registry.paired(by_clip_a, by_clip_b, metric)


def overall(pairs: Sequence[Paired]) -> str:
    """better | worse | cannot tell, from the headline metrics: better in one and worse in none."""
    verdicts = {pair.verdict for pair in pairs if pair.metric in HEADLINE}
    if "worse" in verdicts:
        return "worse" if "better" not in verdicts else "cannot tell"
    return "better" if "better" in verdicts else "cannot tell"


def commits(rev_a: str, rev_b: str) -> list[Paired]:
    """Every metric that both commits' tables have, B against A.

    Errors: UserError if a commit or its table is missing, or the clips differ.
    """
    return tables(committed(rev_a), committed(rev_b))


def tables(a: ByClip, b: ByClip) -> list[Paired]:
    return [paired(a[name], b[name], name) for name in registry.METRICS if name in a and name in b]


def committed(rev: str) -> ByClip:
    """The generator's figures on the test clips in a commit."""
    if programs.git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}") is None:
        raise UserError(f"compare: {rev}: no such commit, branch, tag or checkpoint file")
    text = programs.git("show", f"{rev}:{paths.METRICS_BY_CLIP.as_posix()}")
    panel = programs.git("show", f"{rev}:{paths.METRICS.as_posix()}")
    if text is None or panel is None:
        raise UserError(f"compare: {rev} has no {paths.METRICS_BY_CLIP}; run `dvc repro evaluate` there and commit it")
    if (version := json.loads(panel).get("about", {}).get("version")) != registry.PANEL_VERSION:
        raise UserError(
            f"compare: {rev} was measured by version {version} of the evaluation, this is {registry.PANEL_VERSION}; "
            "run `dvc repro evaluate` there and commit it, or compare the two checkpoint files"
        )
    return parse(text)


def parse(text: str) -> ByClip:
    """`of_rows` of a table of clips as evaluation writes it."""
    return of_rows(list(csv.DictReader(io.StringIO(text))))


def of_rows(rows: Sequence[Mapping[str, Any]]) -> ByClip:
    """The generator's figures on the test clips; None if a metric that every clip must have was not measured.

    Values are rounded to the table's six digits, so that records and the table written from them are equal.
    """
    names = {name for row in rows for name in row}
    ours = [row for row in rows if row["row"] == ROW and row["split"] == SPLIT]
    figures: ByClip = {}
    for name, metric in registry.METRICS.items():
        column = {row["clip"]: _value(row.get(name)) for row in ours} if name in names else {}
        if metric.optional:
            column = {clip: value for clip, value in column.items() if value is not None}
        if column:
            figures[name] = column
    return figures


def _value(written: str | float | None) -> float | None:
    return None if written in ("", None) else float(f"{float(written):.6g}")


def sentence(pairs: Sequence[Paired], a: str, b: str) -> str:
    """The overall verdict with its reasons, in one line."""
    reasons = ", ".join(
        f"{registry.METRICS[pair.metric].title} {pair.verdict}" for pair in pairs if pair.metric in HEADLINE
    )
    clips = max((pair.num_clips for pair in pairs), default=0)
    verdicts = {"better": f"{b} is better than {a}", "worse": f"{b} is worse than {a}"}
    verdict = verdicts.get(overall(pairs), f"cannot tell whether {b} is better than {a}")
    return f"{verdict}, on {clips} clips ({reasons})"


def lines(pairs: Sequence[Paired], a: str, b: str) -> Iterator[str]:
    """The table for a terminal."""
    yield f"{'metric':22} {'A':>9} {'B':>9} {'change':>9}  95 % interval          B is"
    for pair in pairs:
        interval = f"{pair.low:+.4f} to {pair.high:+.4f}"
        yield f"{pair.metric:22} {pair.a:9.4f} {pair.b:9.4f} {pair.difference:+9.4f}  {interval:22} {pair.verdict}"
    yield f"A: {a}"
    yield f"B: {b}"
    yield sentence(pairs, "A", "B")
