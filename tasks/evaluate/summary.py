"""Records of clips -> the panel: means with intervals per condition, leakage, noise, yaw, verdict, plot tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from model import seeds, visemes
from model.metrics import registry, verdict
from model.params import Params
from tasks.evaluate import conditions
from tasks.evaluate.measure import Record

Panel = dict[str, Any]
# name in reports/headline.json -> metric that every panel has
HEADLINE = {
    "correlation": "aperture_corr",
    "amplitude": "amplitude_ratio",
    "sharpness": "sharpness_ratio",
    "mouth_l1": "mouth_l1",
}


def panel_of(records: Sequence[Record], noisy: Sequence[Record], halves: Sequence[Record], p: Params) -> Panel:
    """Condition -> metric -> mean over clips (lags: median), `<metric>_ci`; and the figures of the whole."""
    tested = [record for record in records if record["split"] == "test"]
    panel: Panel = {row: summed([r for r in tested if r["row"] == row], p) for row in conditions.ROWS}
    gain = column(tested, "right_audio", "aperture_corr") - column(tested, "wrong_audio", "aperture_corr")
    panel["right_minus_wrong"] = with_interval("aperture_corr", gain, p)
    panel["leakage"], panel["mesh_leakage"] = leakage(tested, p), leakage(tested, p, "mesh_")
    for generator in ("lipgan", "mesh"):
        panel[f"half_clip_{generator}"] = summed([r for r in halves if r["generator"] == generator], p)
    for case in sorted({r["case"] for r in records if r["split"] == "hard"}):
        hard = [r for r in records if r["split"] == "hard" and r["case"] == case and r["row"] == "right_audio"]
        panel[f"hard_{case}"] = summed(hard, p)
    for kind, snr_db in sorted({(r["kind"], r["snr_db"]) for r in noisy}, key=lambda at: (at[0], -at[1])):
        here = [r for r in noisy if (r["kind"], r["snr_db"]) == (kind, snr_db)]
        names = [name for name in here[0] if name in registry.METRICS]
        panel[f"{kind}_{snr_db:g}_db"] = summed([{name: r[name] for name in names} for r in here], p)
    panel |= yaw_bins(records)
    panel["visemes"] = by_viseme(tested)
    panel["verdict"] = judged({row: panel[row] for row in conditions.ROWS})
    return panel


def column(records: Iterable[Record], row: str, metric: str) -> np.ndarray:
    """A metric of one condition, in the order of the clips.  Shape: -> (N,)"""
    return np.array([record[metric] for record in records if record["row"] == row])


def summed(records: Sequence[Record], p: Params) -> dict[str, Any]:
    per_clip = [{name: record[name] for name in registry.METRICS if name in record} for record in records]
    seed = seeds.derive(p.seed, "bootstrap")
    figures: dict[str, Any] = registry.summarise(per_clip, seed=seed, num=p.evaluate.num_bootstrap)
    if frames := sum(record.get("frames", 0) for record in records):
        figures["num_frames"] = frames
    return figures


def with_interval(name: str, values_N: np.ndarray, p: Params) -> dict[str, Any]:
    mean, low, high = registry.bootstrap(values_N, seeds.derive(p.seed, "bootstrap"), p.evaluate.num_bootstrap)
    return {name: mean, f"{name}_ci": [low, high]}


def leakage(tested: Sequence[Record], p: Params, of: str = "") -> dict[str, Any]:
    """Whether only the sound moves the mouth, or other inputs as well.

    follows_its_sound   with a wrong sound, correlation with the mouth that belongs to it: high is best
    follows_the_pose    with a wrong sound, correlation with the mouth of the masked true frames: 0 is best
    moves_in_silence    with digital silence, amplitude against real: 0 is best
    """
    wrong = [record for record in tested if record["row"] == f"{of}wrong_audio"]
    return (
        with_interval("follows_its_sound", np.array([record["follows_its_sound"] for record in wrong]), p)
        | with_interval("follows_the_pose", column(tested, f"{of}wrong_audio", "aperture_corr"), p)
        | with_interval("moves_in_silence", column(tested, f"{of}silence", "amplitude_ratio"), p)
    )


def yaw_bins(records: Sequence[Record]) -> Panel:
    """Mouth L1 and LMD by yaw of the head, over the frames of all splits."""
    bins: dict[str, list[tuple[int, float, float]]] = {}
    for record in records:
        for name, sums in record.get("yaw", {}).items():
            bins.setdefault(name, []).append(sums)
    means = {}
    for name in sorted(bins, key=lambda name: int(name.split("_")[0])):
        num, mouth, lmd = (sum(parts) for parts in zip(*bins[name], strict=True))
        means[f"yaw_{name}"] = {"mouth_l1": mouth / num, "lmd": lmd / num, "num_frames": int(num)}
    return means


def by_viseme(tested: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Viseme -> condition -> error of the opening, as a share of the real range, and its sign; and `num_frames`."""
    sums: dict[tuple[str, str], np.ndarray] = {}
    for record in tested:
        for name, values in record.get("visemes", {}).items():
            at = (name, record["row"])
            sums[at] = sums.get(at, np.zeros(3)) + np.array(values)
    found: dict[str, dict[str, Any]] = {}
    for name in visemes.TITLES:
        for row in conditions.BY_VISEME:
            if (name, row) in sums:
                num, absolute, signed = sums[name, row].tolist()
                figures = {"error": absolute / num, "bias": signed / num}
                found.setdefault(name, {"num_frames": int(num)})[row] = figures
    return found


def judged(panel: Panel) -> dict[str, Any]:
    order = verdict.ranking(panel)
    return {
        "version": verdict.VERDICT_VERSION,
        "ranking": order,
        "rank_of_right_audio": order.index("right_audio") + 1,
        "rank_of_mesh_right_audio": order.index("mesh_right_audio") + 1,
        "failed": {row: [check.metric for check in verdict.failed(panel[row])] for row in panel},
        "checks": len(verdict.checked(panel["right_audio"])),
        "sentence": verdict.sentence(panel["right_audio"]),
        "mesh_sentence": verdict.sentence(panel["mesh_right_audio"]),
    }


def clip_rows(records: Sequence[Record]) -> list[Record]:
    """The table of clips: the records without their arrays."""
    return [{name: value for name, value in r.items() if isinstance(value, str | int | float)} for r in records]


def lag_rows(records: Sequence[Record], max_lag: int) -> list[Record]:
    """Mean correlation over the test clips at each lag, for `dvc plots`: the peak is at the delay."""
    tested = [r for r in records if r["split"] == "test"]
    return [
        {
            "row": row,
            "lag_frames": lag,
            "aperture_corr": float(np.mean([r["lags"][k] for r in tested if r["row"] == row])),
        }
        for row in conditions.ROWS
        for k, lag in enumerate(range(-max_lag, max_lag + 1))
    ]


def offset_rows(records: Sequence[Record], max_lag: int) -> list[Record]:
    """How often each lag is the best: per second of the test clips by the expert; without one, per clip's mouth."""
    rows = []
    for row in conditions.ROWS:
        of_row = [r for r in records if r["split"] == "test" and r["row"] == row]
        lags = np.concatenate(
            [np.atleast_1d(r["expert_lags"] if "expert_lags" in r else r["aperture_lag_frames"]) for r in of_row]
        )
        at, counts = np.unique(np.clip(lags, -max_lag, max_lag), return_counts=True)
        share = dict(zip(at.tolist(), (counts / len(lags)).tolist(), strict=True))
        rows += [{"row": row, "lag_frames": k, "share": share.get(k, 0.0)} for k in range(-max_lag, max_lag + 1)]
    return rows


def headline(panel: Panel) -> dict[str, dict[str, float]]:
    """What DVC tracks as metrics: generator -> a few figures with the right sound, and the checks that it fails."""
    lines = {}
    for generator, of in (("mesh", "mesh_"), ("lipgan", "")):
        right, wrong = panel[f"{of}right_audio"], panel[f"{of}wrong_audio"]
        lines[generator] = {name: right[metric] for name, metric in HEADLINE.items()} | {
            "wrong_correlation": wrong["aperture_corr"],
            "failed_checks": len(panel["verdict"]["failed"][f"{of}right_audio"]),
        }
    return lines
