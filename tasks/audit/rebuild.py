"""The reproducibility audit: shards rebuilt from raw bytes and compared with those in data/shards."""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from model.params import Params
from tasks.audit.links import Link
from tasks.core import files, paths
from tasks.core.progress import progress
from tasks.preprocess import stage as preprocess
from tasks.storage.unit_cache import Unit


def run(p: Params, num_shards: int) -> Link:
    """Rebuild `num_shards` shards, drawn unpredictably, without the unit cache."""
    planned, _ = preprocess.plan(p)
    drawn = sorted(random.SystemRandom().sample(planned, min(num_shards, len(planned))), key=lambda unit: unit.name)
    link = Link("rebuilt shards", f"{len(drawn)} of {len(planned)} rebuilt from raw, byte for byte: {names(drawn)}")
    for unit in progress(drawn, "rebuilding", "shard"):
        if finding := compare(unit):
            link.findings.append(finding)
    return link


def compare(unit: Unit) -> str:
    """A finding, or an empty string."""
    kept = paths.SHARDS / unit.name
    if not kept.is_file():
        return f"{kept}: missing; run `dvc checkout`"
    with tempfile.TemporaryDirectory(prefix="lipgan-rebuild-") as folder:
        preprocess.build(unit, Path(folder))
        rebuilt = files.sha256_file(Path(folder) / "shard.tar")
    stored = files.sha256_file(kept)
    return "" if rebuilt == stored else f"{kept}: sha256 {stored[:12]}, rebuilt it is {rebuilt[:12]}"


def names(drawn: Sequence[Unit]) -> str:
    return ", ".join(unit.name.removesuffix(".tar") for unit in drawn)
