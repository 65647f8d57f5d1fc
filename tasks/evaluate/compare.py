"""Two checkpoints, or two commits, over the same clips: what is better, what is worse, and what cannot be told.

    python -m flows compare HEAD~1 HEAD
    python -m flows compare models/generator.safetensors other.safetensors

Commits are compared by the table of clips that each has committed (reports/plots/clips.csv); nothing is run again.
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

# what decides: in time, moving enough, and a mouth that looks right. A better picture that says less is not better
HEADLINE = ("aperture_corr", "amplitude_ratio", "mouth_l1")
ROW, SPLIT = "right_audio", "test"
ByClip = dict[str, dict[str, float | None]]  # metric -> clip -> value


def paired(by_clip_a: Mapping[str, float | None], by_clip_b: Mapping[str, float | None], metric: str) -> Paired:
    """Is B better than A in `metric`, over the same clips (key -> value, None where it could not be measured)?

    Errors: UserError where A and B were not measured on the same clips.
    """
    if other := set(by_clip_a) ^ set(by_clip_b):
        raise UserError(
            f"compare: {len(other)} clips are only in one of the two, {sorted(other)[0]} the first; "
            "both must be evaluated on the same data"
        )
    if not by_clip_a:
        raise UserError("compare: there is no clip to compare")
    return registry.paired(by_clip_a, by_clip_b, metric)


def overall(found: Sequence[Paired]) -> str:
    """better | worse | cannot tell, from the headline metrics: better in one, and worse in none."""
    verdicts = {pair.verdict for pair in found if pair.metric in HEADLINE}
    if "worse" in verdicts:
        return "worse" if "better" not in verdicts else "cannot tell"
    return "better" if "better" in verdicts else "cannot tell"


def commits(rev_a: str, rev_b: str) -> list[Paired]:
    """Every metric that both commits' tables have, B against A.

    Errors: UserError where a commit or its table is not there, or the clips are not the same.
    """
    return tables(committed(rev_a), committed(rev_b))


def tables(a: ByClip, b: ByClip) -> list[Paired]:
    return [paired(a[name], b[name], name) for name in registry.METRICS if name in a and name in b]


def committed(rev: str) -> ByClip:
    """The generator's figures on the test clips, as a commit holds them."""
    if programs.git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}") is None:
        raise UserError(f"compare: {rev}: no such commit, branch or tag here, and no checkpoint file either")
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
    """The generator's figures on the test clips; None where a metric that every clip must have was not measured.

    Values have the table's six digits, so that records and the table written of them are equal.
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


def sentence(found: Sequence[Paired], a: str, b: str) -> str:
    """One plain line, and why."""
    told = overall(found)
    why = ", ".join(
        f"{registry.METRICS[pair.metric].title} {pair.verdict}" for pair in found if pair.metric in HEADLINE
    )
    clips = max((pair.num_clips for pair in found), default=0)
    of = {"better": f"{b} is better than {a}", "worse": f"{b} is worse than {a}"}
    return f"{of.get(told, f'cannot tell whether {b} is better than {a}')}, on {clips} clips ({why})"


def lines(found: Sequence[Paired], a: str, b: str) -> Iterator[str]:
    """The table for a terminal."""
    yield f"{'metric':22} {'A':>9} {'B':>9} {'change':>9}  95 % interval          B is"
    for pair in found:
        interval = f"{pair.low:+.4f} to {pair.high:+.4f}"
        yield f"{pair.metric:22} {pair.a:9.4f} {pair.b:9.4f} {pair.difference:+9.4f}  {interval:22} {pair.verdict}"
    yield f"A: {a}"
    yield f"B: {b}"
    yield f"{sentence(found, 'A', 'B')}"
