"""The report of the ablations: plots and one self-contained page with the means and ranges over the seeds."""

import html
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np

from tasks.core import paths
from tasks.core.files import all_or_nothing, write_atomic
from tasks.core.html import data_uri, document

matplotlib.use("Agg")

Rows = Sequence[Mapping[str, Any]]
LIP_L1 = {"plain": "plain L1", "cotrained": "lip-weighted L1"}
GENERATORS = {
    "none": "none",
    "cotrained": "co-trained",
    "expert": "expert",
    "quality": "expert and\nvisual quality",
}
COLUMNS = {
    "corr_right": "right sound",
    "corr_wrong": "wrong sound",
    "amplitude_right": "amplitude",
    "discriminator": "discriminator nearer to right sound",
}
STYLE = "td, th { text-align: right } td:first-child, th:first-child { text-align: left }"
TEMPLATE = """<h1>The experiments of LipGAN's authors, repeated</h1>
<p>{trainings} trainings of {steps} steps of {batch_size} samples; corpora: {corpora}. Each figure is the mean over the
seeds, with minimum and maximum in brackets. Mouth opening is measured on test clips of unseen speakers.</p>
<h2>1 Does lip-weighted L1 shape the mouth earlier?</h2>{lip_l1}
<h2>2 Discriminator and expert: right sound against wrong on {pairs} random faces</h2>
<p>Share of faces nearer to their right sound; chance 50 %. LipGAN's authors measured 63 % for theirs.</p>{judges}
<h2>3 The sync losses of the generator</h2>{generators}
{table}"""


def write(report: Mapping[str, Any], curves: Rows) -> None:
    """One PNG per experiment, and experiments.html with all of them embedded."""
    trainings = report["trainings"]
    figures = {"lip-l1": _lip_l1(curves), "judges": _judges(report), "generators": _generators(trainings)}
    images = {}
    for name, figure in figures.items():
        path = paths.EXPERIMENTS / f"{name}.png"
        with all_or_nothing(path) as partial:
            # the software's name and version in the file would change its bytes
            figure.savefig(partial, dpi=110, metadata={"Software": None})
        images[name] = f'<img alt="{name}" src="{data_uri("image/png", path.read_bytes())}">'
        matplotlib.pyplot.close(figure)
    body = TEMPLATE.format(
        trainings=len(trainings),
        steps=report["steps"],
        batch_size=report["batch_size"],
        corpora=html.escape(", ".join(report["corpora"])),
        lip_l1=images["lip-l1"],
        judges=images["judges"],
        generators=images["generators"],
        table=_table(trainings),
        pairs=report["pairs"],
    )
    write_atomic(paths.EXPERIMENTS / "experiments.html", document("Experiments", body, STYLE))


def _by_variant(rows: Rows, name: str) -> dict[str, list[float]]:
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        values[row["variant"]].append(row[name])
    return values


def _figure(columns: int = 1) -> tuple[Any, Any]:
    from matplotlib import pyplot

    return pyplot.subplots(1, columns, figsize=(8, 3.6), layout="constrained")


def _lip_l1(curves: Rows) -> Any:
    """Validation mouth L1 over the steps, plain against lip-weighted; the band is the range over the seeds."""
    figure, axes = _figure()
    for variant, title in LIP_L1.items():
        by_step: dict[float, list[float]] = defaultdict(list)
        for row in curves:
            if row["variant"] == variant:
                by_step[row["step"]].append(row["val_mouth_l1"])
        steps = sorted(by_step)
        axes.plot(steps, [np.mean(by_step[s]) for s in steps], label=title, marker="o", markersize=3)
        axes.fill_between(steps, [min(by_step[s]) for s in steps], [max(by_step[s]) for s in steps], alpha=0.2)
    axes.set(xlabel="step", ylabel="mouth L1, validation")
    axes.legend()
    return figure


def _judges(report: Mapping[str, Any]) -> Any:
    figure, axes = _figure()
    shares = [share for row in report["trainings"] if row["variant"] == "cotrained" for share in [row["discriminator"]]]
    axes.bar(["co-trained discriminator", "expert"], [np.mean(shares), report["expert"]], color=["C1", "C0"])
    axes.scatter([0] * len(shares), shares, color="black", zorder=3, s=12)
    axes.axhline(0.5, color="grey", linestyle=":")
    axes.set(ylim=(0, 1), ylabel="nearer to right sound")
    return figure


def _generators(trainings: Rows) -> Any:
    figure, both = _figure(2)
    for axes, names, label in (
        (both[0], {"corr_right": "right sound", "corr_wrong": "wrong sound"}, "correlation of mouth opening"),
        (both[1], {"amplitude_right": "right sound"}, "amplitude against real"),
    ):
        for k, (name, title) in enumerate(names.items()):
            values = _by_variant(trainings, name)
            for x, variant in enumerate(GENERATORS):
                at = x + 0.2 * (2 * k - len(names) + 1)
                colour = f"C{k}"
                axes.bar(at, np.mean(values[variant]), width=0.35, color=colour, label=title if x == 0 else None)
                axes.scatter([at] * len(values[variant]), values[variant], color="black", zorder=3, s=10)
        axes.set_xticks(range(len(GENERATORS)), GENERATORS.values(), fontsize=8)
        axes.set_ylabel(label)
    both[0].legend()
    return figure


def _table(trainings: Rows) -> str:
    heads = "".join(f"<th>{html.escape(title)}</th>" for title in ("training", *COLUMNS.values()))
    lines = []
    for variant in dict.fromkeys(row["variant"] for row in trainings):
        title = next(row["title"] for row in trainings if row["variant"] == variant)
        cells = [f"<td>{html.escape(title)}</td>"]
        for name in COLUMNS:
            values = _by_variant(trainings, name)[variant]
            cells.append(f"<td>{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{heads}</tr>{''.join(lines)}</table>"
