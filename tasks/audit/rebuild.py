"""The reproducibility audit: shards made again from raw bytes, and compared with those that lie in data/shards."""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from model.params import Params
from tasks.audit.chain import Link
from tasks.core import files, paths
from tasks.core.progress import progress
from tasks.preprocess import stage as preprocess
from tasks.storage.unit_cache import Unit


def run(p: Params, num_shards: int) -> Link:
    """Make `num_shards` shards again, drawn so that no one can know which, without the unit cache."""
    planned, _ = preprocess.plan(p)
    drawn = sorted(random.SystemRandom().sample(planned, min(num_shards, len(planned))), key=lambda unit: unit.name)
    link = Link("rebuilt shards", f"{len(drawn)} of {len(planned)} made again from raw, byte for byte: {names(drawn)}")
    for unit in progress(drawn, "making again", "shard"):
        if found := compare(unit):
            link.findings.append(found)
    return link


def compare(unit: Unit) -> str:
    """One finding, or nothing."""
    kept = paths.SHARDS / unit.name
    if not kept.is_file():
        return f"{kept}: missing; nothing to compare with"
    with tempfile.TemporaryDirectory(prefix="lipgan-rebuild-") as folder:
        preprocess.build(unit, Path(folder))
        made = files.sha256_file(Path(folder) / "shard.tar")
    same = files.sha256_file(kept)
    return "" if made == same else f"{kept}: sha256 {same[:12]}, made again it is {made[:12]}"


def names(drawn: Sequence[Unit]) -> str:
    return ", ".join(unit.name.removesuffix(".tar") for unit in drawn)
