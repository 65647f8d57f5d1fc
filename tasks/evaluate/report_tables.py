"""The report's tables, as HTML."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from model import visemes
from model.metrics import verdict
from model.metrics.registry import METRICS, lag_text
from tasks.evaluate import conditions
from tasks.evaluate.measure import Record
from tasks.evaluate.summary import Panel
from tasks.storage.table_rows import Rows

# the generators and the truth first, then the controls
OURS = ("right_audio", "mesh_right_audio")
ORDER = (*OURS, "real_video", *conditions.CONTROLS)
NAMES = {
    "right_audio": "LipGAN",
    "mesh_right_audio": "mesh",
    "real_video": "real video",
    "wrong_audio": "LipGAN, another clip's sound",
    "moved_audio": "LipGAN, own sound moved",
    "silence": "LipGAN, silence",
    "mesh_wrong_audio": "mesh, another clip's sound",
    "mesh_moved_audio": "mesh, own sound moved",
    "mesh_silence": "mesh, silence",
    "copy_input": "copy of the input",
    "frozen_mouth": "frozen mouth",
    "mumble": "0.3 x mumble",
    "late_2": "80 ms late",
    "late_5": "200 ms late",
}
GROUPS = {
    "time": "Timing",
    "articulation": "Articulation",
    "picture": "Picture",
    "motion": "Motion artefacts",
}
HARD = ("aperture_corr", "aperture_lag_frames", "amplitude_ratio", "event_f1", "mouth_l1", "mouth_ssim", "lmd")
LEAKAGE = {
    "follows_its_sound": ("with a wrong sound, correlation with the mouth of that sound", "high is best"),
    "follows_the_pose": ("with a wrong sound, correlation with the masked true mouth", "0 is best"),
    "moves_in_silence": ("in silence, amplitude against real", "0 is best"),
}
MOST_FAILURES = 5


def checks(panel: Panel) -> str:
    """The conditions against the checks of the verdict."""
    measured = [check for check in verdict.CHECKS if check.metric in panel["right_audio"]]
    head = "".join(f"<th>{check.name}<small>{limits(check)}</small></th>" for check in measured)
    body = ""
    for row in ORDER:
        cells = ""
        for check in measured:
            kind = "good" if check.passed(panel[row]) else "bad"
            cells += f'<td class="{kind}">{number(check.metric, panel[row][check.metric])}</td>'
        num_failed = len(verdict.failed(panel[row]))
        result = f"<td>fails {num_failed}</td>" if num_failed else f'<td class="good">passes all {len(measured)}</td>'
        body += f"<tr{mark(row)}><td>{NAMES[row]}<small>{conditions.ROWS[row]}</small></td>{result}{cells}</tr>"
    return f"<table><tr><th></th><th>verdict</th>{head}</tr>{body}</table>"


def limits(check: verdict.Check) -> str:
    best = METRICS[check.metric].better
    if best == "higher":
        return f"{check.low:g} or more"
    return f"{check.high:g} or less" if best == "lower" else f"{check.low:g} to {check.high:g}"


def groups(panel: Panel) -> str:
    parts = []
    for group, title in GROUPS.items():
        names = [name for name, metric in METRICS.items() if metric.group == group and name in panel["right_audio"]]
        table_rows = {row: panel[row] for row in ORDER}
        parts.append(f'<h3>{title}</h3><div class="wide">{table(table_rows, names, NAMES, conditions.ROWS)}</div>')
    return "".join(parts)


def table(
    panel: Mapping[str, Mapping[str, Any]], names: Sequence[str], titles: Mapping[str, str], notes: Mapping[str, str]
) -> str:
    head = "".join(f"<th>{METRICS[name].title}<small>{direction(name)}</small></th>" for name in names)
    body = ""
    for row, figures in panel.items():
        cells = "".join(cell(figures, name) for name in names)
        body += f"<tr{mark(row)}><td>{html.escape(titles[row])}<small>{notes.get(row, '')}</small></td>{cells}</tr>"
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def cell(figures: Mapping[str, Any], name: str) -> str:
    if name not in figures:
        return "<td>-<small>nothing to measure</small></td>"
    low, high = figures[f"{name}_ci"]
    notes = [f"{number(name, low)} to {number(name, high)}"]
    if clips := figures.get(f"{name}_clips"):
        notes.append(f"on {clips} clips")
    if num := figures.get(f"{name}_failed"):
        notes.append(f'<span class="bad">{num} failed</span>')
    return f"<td>{number(name, figures[name])}<small>{'<br>'.join(notes)}</small></td>"


def number(name: str, value: float) -> str:
    metric = METRICS[name]
    if metric.unit == "frames":
        return lag_text(value).split(" ")[0]
    if metric.unit == "dB":
        return f"{value:.1f}"
    return f"{value:.4f}" if metric.unit.startswith("share of") else f"{value:.2f}"


def direction(name: str) -> str:
    return {"higher": "higher is better", "lower": "lower is better", "zero": "0 is best", "one": "1 is best"}[
        METRICS[name].better
    ]


def mark(row: str) -> str:
    return ' class="ours"' if row in OURS else ""


def leakage(of_generators: Mapping[str, Mapping[str, Any]]) -> str:
    """`of_generators`: title -> figures of summary.leakage."""
    body = f"<tr><th></th>{''.join(f'<th>{title}</th>' for title in of_generators)}</tr>"
    for name, (title, best) in LEAKAGE.items():
        body += f"<tr><td>{title}<small>{best}</small></td>"
        for figures in of_generators.values():
            low, high = figures[f"{name}_ci"]
            body += f"<td>{figures[name]:.2f}<small>{low:.2f} to {high:.2f}</small></td>"
        body += "</tr>"
    return f'<div class="wide"><table>{body}</table></div>'


def halves(panel: Panel) -> str:
    """PSNR and SSIM of the lower half of the crops, of both generators."""
    titles = {"half_clip_lipgan": "LipGAN", "half_clip_mesh": "mesh"}
    return f'<div class="wide">{table({row: panel[row] for row in titles}, ("psnr", "ssim"), titles, {})}</div>'


def by_viseme(panel: Panel) -> str:
    """The error of the opening by what is said, the largest of the first condition first."""
    rows = [row for row in conditions.BY_VISEME if any(row in figures for figures in panel["visemes"].values())]
    if not rows:
        return "<p>It is not known here when what is said.</p>"
    head = "".join(f"<th>{NAMES[row]}<small>error, and its sign</small></th>" for row in rows)
    order = sorted(panel["visemes"].items(), key=lambda item: -item[1][rows[0]]["error"])
    body = "".join(
        f"<tr><td>{visemes.TITLES[name]}<small>{figures['num_frames']} frames</small></td>"
        + "".join(f"<td>{figures[row]['error']:.2f} <small>{figures[row]['bias']:+.2f}</small></td>" for row in rows)
        + "</tr>"
        for name, figures in order
    )
    return f'<div class="wide"><table><tr><th>sound</th>{head}</tr>{body}</table></div>'


def hard(cases: Mapping[str, Mapping[str, Any]]) -> str:
    titles = {name: name.removeprefix("hard_").replace("_", " ") for name in cases}
    order = dict(sorted(cases.items(), key=lambda item: item[1]["aperture_corr"]))
    notes = {name: f"{figures['num_clips']} clip(s)" for name, figures in cases.items()}
    return f'<div class="wide">{table(order, HARD, titles, notes)}</div>'


def failures(records: Sequence[Record], index_rows: Rows, shown: Sequence[str]) -> str:
    """The worst clips with their rows of the index, and those of the sample clips."""
    ours = [r for r in records if r["row"] == "right_audio"]
    ours.sort(key=lambda r: (-len(verdict.failed(r)), r["aperture_corr"], r["clip"]))
    worst = ours[:MOST_FAILURES]
    listed = worst + [r for r in ours[MOST_FAILURES:] if r["clip"] in shown]
    by_clip = {row["clip"]: row for row in index_rows.among("clip", [record["clip"] for record in listed])}
    body = ""
    for record in listed:
        row = by_clip[record["clip"]]
        why = ", ".join(check.name for check in verdict.failed(record)) or "none"
        body += (
            f'<tr id="row-{html.escape(record["clip"])}"><td><code>{html.escape(record["clip"])}</code>'
            f"<small>{html.escape(record['split'])}, {html.escape(record['case'] or 'no case')}</small></td>"
            f'<td>{record["aperture_corr"]:.2f}</td><td class="text">{why}</td>'
            f'<td class="text">{html.escape(row["text"] or "")}</td><td>{row["found_share"]:.0%}</td>'
            f'<td class="text"><code>{html.escape(row["shard"])}</code><small>byte {row["offset"]}, {row["size"]} long,'
            f" sha256 {row['member_sha256'][:12]}</small></td></tr>"
        )
    head = (
        '<th>clip</th><th>correlation</th><th class="text">checks it fails</th><th class="text">words</th>'
        '<th>face found</th><th class="text">location</th>'
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def registry(panel: Panel) -> str:
    body = ""
    for name, metric in METRICS.items():
        measured = "measured" if name in panel["right_audio"] else "not measured: needs weights"
        body += (
            f'<tr><td><code>{name}</code></td><td class="text">{metric.title}</td><td class="text">{metric.unit or "-"}'
            f'</td><td class="text">{direction(name)}</td><td>{metric.version}</td>'
            f'<td class="text">{measured}</td></tr>'
        )
    head = '<th>name</th><th class="text">meaning</th><th class="text">unit</th><th class="text">direction</th>'
    return f'<table><tr>{head}<th>version</th><th class="text">here</th></tr>{body}</table>'
