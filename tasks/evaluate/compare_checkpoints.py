"""Comparison of two checkpoint files, both measured now on the same test clips, B against A."""

from pathlib import Path

from model.metrics.registry import Paired
from model.params import Params
from tasks.core.errors import UserError
from tasks.evaluate import compare, stage


def checkpoints(a: Path, b: Path, p: Params) -> list[Paired]:
    """Every metric, B against A.  Errors: UserError if a checkpoint is missing or belongs to another network"""
    for path in (a, b):
        if not path.is_file():
            raise UserError(f"compare: {path}: no such checkpoint")
    return compare.tables(*(compare.of_rows(stage.generator_records(path, p.evaluate.max_lag)) for path in (a, b)))
