"""Two checkpoints on the same test clips, measured here and now, B against A."""

from pathlib import Path

from model.metrics import Paired
from model.params import Params
from tasks import compare, evaluate, figures, tables
from tasks.stage import UserError


def checkpoints(a: Path, b: Path, p: Params) -> list[Paired]:
    """Errors: UserError where one is missing or of another network"""
    for path in (a, b):
        if not path.is_file():
            raise UserError(f"compare: {path}: no such checkpoint")
    found = [compare.parse(tables.csv_text(figures.clip_rows(evaluate.by_clip(path, p)))) for path in (a, b)]
    return compare.tables(*found)
