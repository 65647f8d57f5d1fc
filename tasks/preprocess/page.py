"""reports/preprocess.html: an overview of the corpus in one self-contained page: kept and refused clips, each with its
flags or reason, and histograms of the measurements.

It shows faces of the corpus: a DVC out, never in git, since many licences forbid redistribution. Each picture says
whose it is (html.SHOWS), by which a withdrawal finds the pages with a person and leaves the others.
"""

import contextlib
import html
import io
from itertools import islice
from typing import Any

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tasks.core import paths
from tasks.core.files import write_atomic
from tasks.core.html import data_uri, document, encoded, shows
from tasks.features import drawing
from tasks.media import containers, decode
from tasks.storage import index, shards
from tasks.storage.index import Row
from tasks.storage.table_rows import Rows

matplotlib.use("Agg")

PLACE = ("clip", "shard", "offset", "size")  # columns of the clip table that it needs
NUM_KEPT, NUM_REFUSED = 36, 18  # clips shown, spread over all
THUMB_PX = 96
SPREAD = {
    "av_offset": "delay of audio behind mouth, frames",
    "yaw_deg": "yaw, degrees",
    "face_px": "face width, px",
    "spread_db": "loudness, 95th above 10th percentile, dB",
    "steady_db": "steady tones relative to all audio, dB",
    "duration_s": "duration, s",
}
COLUMNS = (*SPREAD, *PLACE, "video", "source", "reason", "detail", "flags", "case", "num_frames")  # of the index
STYLE = """
figure { display: inline-block; width: 112px; margin: 4px; vertical-align: top; font-size: 11px;
  overflow-wrap: anywhere }
figure img { border-radius: 4px } .refused { color: var(--bad) } .flag { color: #960 }
"""


def write(rows: Rows, acquired: Rows) -> None:
    """`rows` of the index; `acquired` rows of the clip table, in which refused clips still have their raw bytes."""
    kept, refused = index.kept(rows), rows.where(status="refused")
    shown = spread(refused, NUM_REFUSED)
    raw = {row["clip"]: row for row in acquired.among("clip", [row["clip"] for row in shown])}
    counted = "".join(
        f"<tr><td>{reason}</td><td>{number}</td></tr>" for reason, number in index.refused_by_reason(rows).items()
    )
    body = (
        f"<h1>Preprocessing</h1><p>{len(kept)} clips kept, {len(refused)} refused, "
        f"{sum(kept.column('num_frames'))} frames.</p>"
        f"<table>{counted}</table><h2>Measurements of the kept clips</h2>{histograms(kept)}"
        f"<h2>Refused</h2>{''.join(_refused_figure(row, raw) for row in shown)}"
        f"<h2>Kept</h2>{''.join(_kept_figure(row) for row in spread(kept, NUM_KEPT))}"
    )
    write_atomic(paths.PREPROCESS_PAGE, document("Preprocessing", body, STYLE))


def spread(rows: Rows, most: int) -> list[Row]:
    """At most `most` rows: one of every reason, case and set of flags, then evenly over the rest."""
    firsts: dict[tuple[str, ...], int] = {}
    kinds = zip(*(rows.column(name) for name in ("reason", "flags", "case")), strict=True)
    for number, kind in enumerate(kinds):
        firsts.setdefault(tuple(value or "" for value in kind), number)
    chosen = list(firsts.values())[:most]
    rest = sorted(set(range(len(rows))).difference(chosen))
    step = max(1, -(-len(rest) // max(1, most - len(chosen))))
    return [rows[number] for number in (chosen + rest[::step])[:most]]


def histograms(kept: Rows) -> str:
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(2, 3).flat, SPREAD.items(), strict=True):
        values = [value for value in kept.column(name) if value is not None]
        bins: Any = np.arange(-12.5, 13) if name == "av_offset" else 24
        axes.hist(values, bins=bins, color="#47a")
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=90, metadata={"Software": None})
    return f"<img alt='' src='{data_uri('image/png', png.getvalue())}'>"


def _kept_figure(row: Row) -> str:
    clip = shards.decode(shards.read(paths.SHARDS / row["shard"], row["offset"], row["size"]))
    flags = f"<br><span class=flag>{row['flags']}</span>" if row["flags"] else ""
    middle = len(clip.faces_TSS3) // 2
    picture_HW3 = drawing.draw(clip.faces_TSS3[middle], clip.mesh_T4683[middle])
    return _figure(picture_HW3, f"{_name(row)}{flags}", row["video"])


def _refused_figure(row: Row, raw: dict[str, Row]) -> str:
    caption = f"{_name(row)}<br><span class=refused>{row['reason']}</span> {html.escape(row['detail'])}"
    place = raw.get(row["clip"])
    if not place or not place["shard"]:
        return _figure(None, caption)
    with shards.opened(paths.RAW / place["shard"], place["offset"], place["size"]) as members:
        [extension] = members.keys() - {"json", "txt"}
        try:
            with contextlib.closing(decode.frames(members[extension]())) as frames:
                return _figure(next(islice(frames, 1)), caption, row["video"])
        except containers.MediaError:
            return _figure(None, caption)


def _name(row: Row) -> str:
    return html.escape(row.get("case") or row["source"] or row["clip"])


def _figure(picture_HW3: np.ndarray | None, caption: str, video: str = "") -> str:
    if picture_HW3 is None:
        picture_HW3 = np.full((THUMB_PX, THUMB_PX, 3), 225, np.uint8)
    scale = THUMB_PX / max(picture_HW3.shape[:2])
    small = cv2.resize(picture_HW3, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    address = data_uri("image/jpeg", encoded(small, ".jpg"))
    return f"<figure{shows(video) if video else ''}><img alt='' src='{address}'>{caption}</figure>"
