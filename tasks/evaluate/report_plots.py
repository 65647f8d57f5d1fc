"""The report's plots as PNGs: the same figures give the same bytes."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np

from model.timing import FPS
from tasks.evaluate.measure import Record
from tasks.evaluate.report_media import SHOWN
from tasks.evaluate.summary import Panel

matplotlib.use("Agg")

COLOURS = {
    "real_video": "#444444",
    "right_audio": "#0b6bcb",
    "mesh_right_audio": "#2b8a3e",
    "wrong_audio": "#d9480f",
    "moved_audio": "#e8a33d",
    "silence": "#868e96",
}


def lags(rows: Sequence[Record]) -> bytes:
    figure, axes = _figure()
    for name in COLOURS:
        points = [(row["lag_frames"], row["aperture_corr"]) for row in rows if row["row"] == name]
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=SHOWN[name], color=COLOURS[name])
    axes.axhline(0, color="#999", linewidth=0.8)
    axes.set(xlabel="lag in frames of 40 ms; + is late", ylabel="correlation with truth", ylim=(-0.35, 1.02))
    return _png(figure, axes)


def offsets(rows: Sequence[Record]) -> bytes:
    figure, axes = _figure()
    axes.axvspan(-1.5, 1.5, color="#e6f4ea")
    names = {name: SHOWN[name] for name in ("real_video", "right_audio", "mesh_right_audio")}
    for number, (name, title) in enumerate((names | {"late_5": "true, 5 frames late"}).items()):
        points = [(row["lag_frames"] + 0.2 * (number - 1.5), row["share"]) for row in rows if row["row"] == name]
        axes.bar(*zip(*points, strict=True), width=0.2, label=title, color=COLOURS.get(name, "#d9480f"))
    axes.set(xlabel="best lag in frames of 40 ms; + is late; shaded: in sync", ylabel="share")
    return _png(figure, axes)


def noise(panel: Panel) -> bytes | None:
    """Correlation against signal-to-noise ratio; None if it was not measured."""
    levels = [name.removesuffix("_db").split("_") for name in panel if name.endswith("_db")]
    if not levels:
        return None
    figure, axes = _figure()
    for kind, colour in (("music", "#d9480f"), ("noise", "#0b6bcb")):
        points = sorted((float(snr_db), panel[f"{kind}_{snr_db}_db"]) for k, snr_db in levels if k == kind)
        means = [figures["aperture_corr"] for _, figures in points]
        low, high = zip(*(figures["aperture_corr_ci"] for _, figures in points), strict=True)
        errors = np.maximum([np.subtract(means, low), np.subtract(high, means)], 0)
        axes.errorbar([snr for snr, _ in points], means, yerr=errors, label=kind, color=colour, marker="o", capsize=3)
    axes.axhline(panel["right_audio"]["aperture_corr"], color="#444", linestyle="--", label="clean, all clips")
    axes.set(xlabel="signal-to-noise ratio, dB", ylabel="correlation with truth", ylim=(-0.2, 1.02))
    axes.invert_xaxis()
    return _png(figure, axes)


def yaw(panel: Panel) -> bytes | None:
    bins = [(name.removeprefix("yaw_").replace("_", " to "), panel[name]) for name in panel if name.startswith("yaw_")]
    if not bins:
        return None
    figure, axes = _figure()
    names = [f"{name} deg\n{figures['num_frames']} frames" for name, figures in bins]
    heights = [figures["mouth_l1"] for _, figures in bins]
    axes.bar(names, heights, color="#0b6bcb", width=0.5, label="mouth L1, right sound")
    axes.set(xlabel="yaw of the head", ylabel="mouth L1, share of full scale")
    return _png(figure, axes)


def openings(records: Sequence[Record]) -> bytes:
    """Mouth opening of one clip over time."""
    figure, axes = _figure(2.4)
    for record in records:
        if record["row"] in ("real_video", "right_audio", "mesh_right_audio"):
            name = record["row"]
            seconds = np.arange(len(record["opening"])) / FPS
            axes.plot(seconds, record["opening"], color=COLOURS[name], label=SHOWN[name], linewidth=1.6)
    axes.set(xlabel="seconds", ylabel="mouth opening")
    return _png(figure, axes)


def _figure(height: float = 3.4) -> Any:
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(6.4, height), dpi=110)


def _png(figure: Any, axes: Any) -> bytes:
    from matplotlib import pyplot

    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    pyplot.close(figure)
    return buffer.getvalue()
