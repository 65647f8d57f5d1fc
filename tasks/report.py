"""What evaluation found, for a person: strips of frames as PNGs, and one HTML page that stands alone."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import matplotlib
import numpy as np

from tasks import paths
from tasks.stage import all_or_nothing, write_atomic

matplotlib.use("Agg")

SHOWN = {
    "real_video": "true",
    "right_audio": "right sound",
    "wrong_audio": "wrong sound",
    "silence": "silence",
}
NUM_COLUMNS = 12
LABEL_PX = 92

ROW_NOTES = {
    "right_audio": "the generator with the clip's own sound",
    "wrong_audio": "the generator with another clip's sound",
    "silence": "the generator with digital silence",
    "copy_input": "the identity frame in every frame",
    "frozen_mouth": "true frames, the mouth of one frame",
    "real_video": "the true frames: what the measure itself can reach",
}
COLUMNS = {
    "aperture_corr": ("mouth opening against truth, lag 0", "{:.2f}"),
    "aperture_best_corr": ("at the best lag", "{:.2f}"),
    "aperture_lag_frames": ("best lag, frames", "{:+.1f}"),
    "amplitude_ratio": ("amplitude against real", "{:.2f}"),
    "mouth_l1": ("mouth L1", "{:.4f}"),
    "l1": ("L1", "{:.4f}"),
    "psnr": ("PSNR, dB", "{:.1f}"),
    "ssim": ("SSIM", "{:.3f}"),
}


def strip(shown: Mapping[str, np.ndarray]) -> np.ndarray:
    """Frames of a clip as columns, evenly spread, ways to fill them as rows, named at the left.

    Shape: row -> (T, S, S, 3) uint8 RGB, and `identity` (1, S, S, 3)  ->  (rows S, label + columns S, 3) uint8
    """
    num_frames, size = shown["real_video"].shape[:2]
    at = np.linspace(0, num_frames - 1, NUM_COLUMNS).astype(int)
    lines = []
    for row, name in SHOWN.items():
        label = np.full((size, LABEL_PX, 3), 255, np.uint8)
        cv2.putText(label, name, (4, size // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 40, 40), 1, cv2.LINE_AA)
        lines.append(np.concatenate([label, *shown[row][at]], axis=1))
    return np.concatenate(lines, axis=0)


def write(
    panel: dict[str, Any], lag_rows: Sequence[dict[str, Any]], shown: Mapping[str, dict[str, np.ndarray]]
) -> None:
    """reports/strips/ and reports/report.html."""
    with all_or_nothing(paths.STRIPS) as folder:
        folder.mkdir()
        for clip, rows in shown.items():
            (folder / f"{clip.replace('/', '-')}.png").write_bytes(png(strip(rows)))
    write_atomic(paths.REPORT, page(panel, lag_rows, {clip: png(strip(rows)) for clip, rows in shown.items()}))


def page(panel: dict[str, Any], lag_rows: Sequence[dict[str, Any]], strips: Mapping[str, bytes]) -> str:
    right, wrong, about = panel["right_audio"], panel["wrong_audio"], panel["about"]
    hard = {row.removeprefix("hard_"): figures for row, figures in panel.items() if row.startswith("hard_")}
    cases = {case: "the right sound, a hard case the model was not trained on" for case in hard}
    pictures = "".join(
        f"<figure>{image(picture)}<figcaption>{html.escape(clip)}: frames spread over the clip</figcaption></figure>"
        for clip, picture in strips.items()
    )
    discriminator = panel["discriminator"]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lip-sync evaluation</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ text-align: right; padding: .3rem .7rem; border-bottom: 1px solid #ddd; vertical-align: bottom }}
th:first-child, td:first-child {{ text-align: left }} td small {{ display: block; color: #666 }}
img {{ max-width: 100%; height: auto }} figure {{ margin: 1.5rem 0 }} figcaption {{ color: #666; font-size: .9rem }}
.wide {{ overflow-x: auto }} .first {{ font-size: 1.25rem }}
</style></head><body>
<h1>Lip-sync evaluation</h1>
<p class="first">On {about["clips"]} clips of speakers, voices and sentences the model never met, the generated
mouth opening follows the true one with correlation <b>{right["aperture_corr"]:.2f}</b> when it hears the right sound
and <b>{wrong["aperture_corr"]:.2f}</b> when it hears another; the best lag is {right["aperture_lag_frames"]:+.0f}
frames.</p>
<p>Checkpoint {about["checkpoint_md5"][:12]} after {about["step"]} steps, data index {about["index_md5"][:12]}. The
sync discriminator tells right from wrong sound on {discriminator["accuracy"]:.0%} of {discriminator["pairs"]:.0f}
random pairs, and finds the right one of two on {discriminator["accuracy_2afc"]:.0%} of faces; chance is 50%.</p>
<h2>The panel</h2>
<p>No figure stands alone: a frozen mouth keeps a good L1, PSNR and SSIM, a delay keeps the amplitude, mumbling keeps
the correlation. Small print: 95 % interval by bootstrap over clips.</p>
<div class="wide">{table({row: panel[row] for row in ROW_NOTES}, ROW_NOTES)}</div>
<h2>Correlation at each lag</h2>
<figure>{image(lag_plot(lag_rows))}
<figcaption>Positive: the generated mouth is late. The peak belongs at 0.</figcaption></figure>
<h2>What it looks like</h2>{pictures}
<h2>Hard cases</h2>
<div class="wide">{table(hard, cases) if hard else "<p>There are none in this corpus.</p>"}</div>
</body></html>
"""


def table(rows: Mapping[str, dict[str, Any]], notes: Mapping[str, str]) -> str:
    head = "".join(f"<th>{title}</th>" for title, _ in COLUMNS.values())
    body = ""
    for row, figures in rows.items():
        cells = ""
        for name, (_, form) in COLUMNS.items():
            low, high = figures[f"{name}_ci"]
            cells += f"<td>{form.format(figures[name])}<small>{form.format(low)} to {form.format(high)}</small></td>"
        body += f"<tr><td>{html.escape(row)}<small>{notes[row]}</small></td>{cells}</tr>"
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def lag_plot(rows: Sequence[dict[str, Any]]) -> bytes:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.6), dpi=110)
    for name in SHOWN:
        points = [(row["lag_frames"], row["aperture_corr"]) for row in rows if row["row"] == name]
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=SHOWN[name])
    axes.axhline(0, color="#999", linewidth=0.8)
    axes.set(xlabel="lag in frames of 40 ms", ylabel="correlation with truth", ylim=(-0.35, 1.02))
    axes.legend(frameon=False)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    pyplot.close(figure)
    return buffer.getvalue()


def png(picture_HW3: np.ndarray) -> bytes:
    done, encoded = cv2.imencode(".png", picture_HW3[..., ::-1])
    assert done
    return encoded.tobytes()


def image(content: bytes) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(content).decode()}">'
