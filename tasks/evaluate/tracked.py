"""What of an evaluation goes to MLflow: at most 60 figures, the whole panel as a table, and the verdict in words.

A page of MLflow draws a chart for each metric: with the panel's hundreds nobody finds the few that decide.
"""

from collections.abc import Iterator
from typing import Any

from model.metrics import registry, verdict
from tasks.evaluate.measure import Record
from tasks.evaluate.summary import Panel

MAX_FIGURES = 60
DECIDING = tuple(check.metric for check in verdict.CHECKS)
OTHERS = ("expert_in_sync", "expert_confidence", "psnr", "ssim", "lmd", "lse_d", "lse_c", "lpips", "fid")
GENERATORS = {"mesh": "mesh_", "lipgan": ""}  # -> what its rows in the panel begin with


def figures(panel: Panel) -> dict[str, float]:
    """Name in MLflow -> figure: test/mesh/..., test/lipgan/..., test/discriminator/..."""
    shown: dict[str, float] = {}
    for generator, of in GENERATORS.items():
        rows = {row: panel[f"{of}{row}"] for row in ("right_audio", "wrong_audio", "moved_audio")}
        named = {name: rows["right_audio"][name] for name in (*DECIDING, *OTHERS) if name in rows["right_audio"]}
        named |= {
            "aperture_corr_wrong_audio": rows["wrong_audio"]["aperture_corr"],
            "aperture_corr_moved_audio": rows["moved_audio"]["aperture_corr"],
            "moves_in_silence": panel[f"{of}leakage"]["moves_in_silence"],
            "failed_checks": len(panel["verdict"]["failed"][f"{of}right_audio"]),
        }
        named |= {f"half_clip_{name}": panel[f"half_clip_{generator}"][name] for name in ("psnr", "ssim")}
        shown |= {f"test/{generator}/{name}": float(value) for name, value in named.items()}
    for name in ("accuracy", "accuracy_2afc"):
        shown[f"test/discriminator/{name}"] = panel["discriminator"][name]
    assert len(shown) <= MAX_FIGURES, f"{len(shown)} figures"
    return shown


def table(panel: Panel) -> list[Record]:
    """Every figure of the panel that is one number or has an interval, a row each."""
    return [row for condition, of in panel.items() for row in _rows(condition, of)]


def _rows(condition: str, of: dict[str, Any]) -> Iterator[Record]:
    for name, value in of.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = of.get(f"{name}_ci", ("", ""))
            unit = registry.METRICS[name].unit if name in registry.METRICS else ""
            yield {"condition": condition, "metric": name, "value": value, "low": low, "high": high, "unit": unit}


def note(panel: Panel) -> str:
    """The verdict, in Markdown."""
    about, judged = panel["about"], panel["verdict"]
    lines = [f"On {about['clips']} test clips of {about['people']}, corpora {', '.join(about['corpora'])}:", ""]
    for title, of in (("Mesh generator", "mesh_"), ("LipGAN", "")):
        right, wrong = (panel[f"{of}{row}"]["aperture_corr"] for row in ("right_audio", "wrong_audio"))
        lines.append(
            f"- **{title}** {judged[f'{of}sentence']}. Mouth opening against truth: {right:.2f} with the right sound, "
            f"{wrong:.2f} with another clip's."
        )
    weights = f"LipGAN `{about['checkpoint_md5']}` after {about['step']} steps, motion network `{about['motion_md5']}`"
    return "\n".join(
        [*lines, "", f"{weights}. Every figure: artifacts, `reports/panel.csv` and `reports/report.html`."]
    )
