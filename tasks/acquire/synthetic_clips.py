"""Corpus `synthetic`: talking heads made here, in LRS2's layout, with the true mouth opening of every frame."""

import dataclasses
import hashlib
import json
from typing import Any

from model.params import Params
from tasks.storage import unit_cache
from tasks.synthetic.plan import CORPUS_VERSION, ClipSpec, plan

LICENCE = "MIT"  # made by this repository's own code; espeak-ng's licence does not reach the sound it makes


def versions() -> dict[str, Any]:
    return {
        "corpus_version": CORPUS_VERSION,
        "libraries": unit_cache.library_versions("opencv-python-headless", "av", "numpy", "scipy", "espeakng-loader"),
    }


def clips(p: Params) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The planned clips; none is refused before it is made."""
    specs = plan(p.seed, p.corpus.size)
    return [
        {
            "clip": spec.key,
            "video": spec.video,
            "split": spec.split,
            "corpus": "synthetic",
            "licence": LICENCE,
            "inputs": dataclasses.asdict(spec),
        }
        for spec in specs
    ], []


def fetch(inputs: dict[str, Any], hints: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Make one clip: its row of the clip table and its members in the raw shard."""
    from tasks.synthetic.clip import render  # 70 MB of scipy, for those who render

    spec = ClipSpec(**inputs)
    made = render(spec)
    row = {
        "clip": spec.key,
        "video": spec.video,
        "split": spec.split,
        "corpus": "synthetic",
        "licence": LICENCE,
        "source": f"tasks/synthetic, {spec.case}",
        "source_sha256": hashlib.sha256(made.mp4).hexdigest(),
        "text": spec.text.upper(),
    }
    about = row | {"truth": made.truth}
    return row, {"mp4": made.mp4, "txt": made.text.encode(), "json": json.dumps(about, sort_keys=True).encode()}
