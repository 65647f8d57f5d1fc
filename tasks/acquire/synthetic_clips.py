"""Corpus `synthetic`: rendered talking heads in LRS2's layout, with the true mouth opening of every frame."""

import dataclasses
import hashlib
import json
from typing import Any

from model.params import Params
from tasks.storage import shards, unit_cache
from tasks.synthetic.plan import CORPUS_VERSION, ClipSpec, plan

LICENCE = "MIT"  # rendered by this repository; espeak-ng's licence does not cover the speech it synthesises


def versions() -> dict[str, Any]:
    return {
        "corpus_version": CORPUS_VERSION,
        "layout": shards.SHARDS_VERSION,
        "libraries": unit_cache.library_versions("opencv-python-headless", "av", "numpy", "scipy", "espeakng-loader"),
    }


def person_of(spec: ClipSpec) -> str:
    return f"speaker{spec.speaker:04d}"


def clips(p: Params) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The planned clips; none is refused here."""
    specs = plan(p.seed, p.corpus.size)
    return [
        {
            "clip": spec.key,
            "video": spec.video,
            "person": person_of(spec),
            "split": spec.split,
            "corpus": "synthetic",
            "licence": LICENCE,
            "inputs": dataclasses.asdict(spec),
        }
        for spec in specs
    ], []


def fetch(inputs: dict[str, Any], hints: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Render one clip: its row of the clip table and its members in the raw shard."""
    from tasks.synthetic.clip import render  # imports scipy, 70 MB: only needed here

    spec = ClipSpec(**inputs)
    clip = render(spec)
    row = {
        "clip": spec.key,
        "video": spec.video,
        "person": person_of(spec),
        "split": spec.split,
        "split_by": "corpus",
        "corpus": "synthetic",
        "licence": LICENCE,
        "source": f"tasks/synthetic, {spec.case}",
        "source_sha256": hashlib.sha256(clip.mp4).hexdigest(),
        "text": spec.text.upper(),
    }
    about = row | {"truth": clip.truth}
    return row, {"mp4": clip.mp4, "txt": clip.text.encode(), "json": json.dumps(about, sort_keys=True).encode()}
