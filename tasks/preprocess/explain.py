"""Why one clip is kept or refused: every measurement, every gate, and a strip of its crops.

    python -m flows preprocess --explain main/5535415699068794046/00017

reads   data/clips.parquet, data/raw
writes  out/explain/<key>.png, if the clip has a face
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model.params import Params
from tasks.core import names, paths
from tasks.core.errors import Refusal, UserError
from tasks.core.files import all_or_nothing
from tasks.core.html import encoded
from tasks.core.progress import say
from tasks.features import drawing
from tasks.preprocess import gates, pieces
from tasks.preprocess import stage as preprocess
from tasks.storage import index, shards
from tasks.storage.index import Row

FOLDER = Path("out/explain")
NUM_CROPS = 12
LARGER = 2
MAX_NAMED = 3  # keys suggested by an error


def run(p: Params, key: str) -> None:
    """Measure a clip again and print the outcome.  Errors: UserError for a key that was not acquired.

    For a clip in pieces: one line per piece, or everything about one piece if the key is a piece's.
    """
    row = find(key)
    say(f"{row['clip']}: {row['source']}, {row['corpus']}, split {row['split']}")
    if row["status"] == "refused":
        say(f"refused by stage acquire: {row['reason']}, {row['detail']}")
        return
    with shards.opened(paths.RAW / row["shard"], row["offset"], row["size"]) as raw:
        for one in preprocess.read_clip(raw, p.faces, p.quality, preprocess.tools()):
            name = one.about(dict(row))["clip"]
            if name == key:
                explain(one, name, p)
                return
            if key == row["clip"]:
                span = f"{one.part.first} to {one.part.first + one.part.num_frames - 1}"
                say(f"{name}: frames {span}: {verdict(one, p)}")
    if key != row["clip"]:
        raise UserError(f"--explain: {row['clip']} has no piece {key}; `--explain {row['clip']}` names them")


def explain(one: preprocess.Measured, key: str, p: Params) -> None:
    """Print every measurement of a piece, and write a strip of its crops."""
    if isinstance(one.clip, Refusal):
        say(f"{verdict(one, p)}; the gates were not reached")
        return
    for line in report(one.figures, p):
        say(line)
    out = FOLDER / f"{key.replace('/', '_')}.png"
    strip(one.clip, out)
    say(f"{out}: {NUM_CROPS} of {len(one.clip.faces_TSS3)} crops, green where the face was found, with the mesh")
    say(verdict(one, p))


def verdict(one: preprocess.Measured, p: Params) -> str:
    if refusal := one.refusal(p.quality):
        return f"refused: {refusal.reason}, {refusal.detail}"
    return f"kept, flagged: {one.figures['flags']}" if one.figures["flags"] else "kept"


def find(key: str) -> Row:
    rows = index.rows(paths.CLIPS)
    for name in (key, pieces.clip_of(key)):
        for row in rows.among("clip", [name]):
            return row
    clips = rows.where(status="kept").column("clip")
    near = names.similar(key, clips, MAX_NAMED) or clips[:MAX_NAMED]
    raise UserError(f"--explain: no clip {key} in {paths.CLIPS}; for example {', '.join(near)}, ...")


def report(figures: dict[str, Any], p: Params) -> list[str]:
    """One line per measurement, with its gates if it has any."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, str):
            continue
        line = f"{name:15} {value:10.4g}"
        for checks, failure in ((gates.GATES, "REFUSED"), (gates.FLAGS, "flagged")):
            for gate in checks:
                if gate.figure == name:
                    result = failure if gates.past(gate, figures, p.quality) else "passed"
                    line += f"   {result:8} {gate.word}: quality.{gate.limit} is {getattr(p.quality, gate.limit):g}"
        lines.append(line)
    return lines


def strip(clip: shards.Clip, out: Path) -> None:
    """Crops spread over the clip, enlarged, with the mesh, and a bar whose colour says whether the face was found."""
    at = np.linspace(0, len(clip.faces_TSS3) - 1, NUM_CROPS).round().astype(int)
    pictures = []
    for t in at:
        colour = (0, 160, 0) if clip.found_T[t] else (200, 0, 0)
        large_SS3 = cv2.resize(clip.faces_TSS3[t], None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_CUBIC)
        drawn_SS3 = drawing.draw(large_SS3, clip.mesh_T4683[t] * LARGER)
        pictures.append(cv2.copyMakeBorder(drawn_SS3, 0, 6, 0, 2, cv2.BORDER_CONSTANT, value=colour))
    rows = [np.concatenate(pictures[first : first + NUM_CROPS // 2], axis=1) for first in (0, NUM_CROPS // 2)]
    with all_or_nothing(out) as partial:
        partial.write_bytes(encoded(np.concatenate(rows), ".png"))
