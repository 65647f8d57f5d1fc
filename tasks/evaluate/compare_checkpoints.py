"""Two checkpoints on the same test clips, measured here and now, B against A."""

from pathlib import Path

from model.metrics.registry import Paired
from model.params import Params
from tasks.core.errors import UserError
from tasks.evaluate import compare
from tasks.evaluate import stage as evaluate


def checkpoints(a: Path, b: Path, p: Params) -> list[Paired]:
    """Errors: UserError where one is missing or of another network"""
    for path in (a, b):
        if not path.is_file():
            raise UserError(f"compare: {path}: no such checkpoint")
    found = [compare.of_rows(evaluate.by_clip(path, p.evaluate.max_lag)) for path in (a, b)]
    return compare.tables(*found)
