"""Deleting unused units: those in no current plan that no run has used for some days.

reads   params.yaml and the inputs of the stages' plans
writes  nothing; deletes folders of the unit cache (LIPGAN_CACHE)

    python -m flows gc --dry-run

A stage that cannot be planned now (for example, its source is missing) keeps all of its units. A shared cache
(LIPGAN_UNITS) is not touched, since other machines may need its units; a bucket can expire objects by itself.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tasks.core import paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.storage.unit_cache import Unit

DAY_S = 86_400


Plan = Callable[[], Sequence[Unit]]  # the units that a stage would use now


def run(plans: Mapping[str, Plan], days: float, dry_run: bool) -> str:
    """Delete unused units, or with `dry_run` only name them; return one line to print.  `plans`: by stage name"""
    needed, unknown = current(plans)
    folders = idle(time.time() - days * DAY_S, needed, unknown)
    num_bytes = 0
    for folder in folders:
        stats = [file.stat() for file in folder.iterdir()]
        num_bytes += sum(of.st_size for of in stats if of.st_nlink == 1)  # others are links to what data/ or DVC holds
        if dry_run:
            say(f"{folder.parents[1].name}/{folder.name}")
        else:
            shutil.rmtree(folder)
    for stage, why in unknown.items():
        say(f"{stage} cannot be planned now, its units are kept: {why}")
    outcome = "would be deleted" if dry_run else "deleted"
    return f"{len(folders)} units, {num_bytes / 1e6:.1f} MB on the disk, unused for {days:g} days, {outcome}"


def current(plans: Mapping[str, Plan]) -> tuple[set[str], dict[str, str]]:
    """Keys that the stages would use now, and the stages whose plan is unknown, with the reason."""
    needed, unknown = set[str](), dict[str, str]()
    for stage, plan in plans.items():
        try:
            needed |= {unit.key for unit in plan()}
        except UserError as error:
            unknown[stage] = str(error)
    for folder in _stages():
        if folder.name not in plans:
            unknown[folder.name] = "no stage of this version has this name"
    return needed, unknown


def idle(before: float, needed: set[str], unknown: dict[str, str]) -> list[Path]:
    """Folders of units that were last used before a time (s since 1970) and are not needed now."""
    return sorted(
        folder
        for stage in _stages()
        if stage.name not in unknown
        for folder in stage.glob("??/*")
        if not folder.name.startswith(".") and folder.name not in needed and folder.stat().st_mtime < before
    )


def _stages() -> list[Path]:
    return sorted(folder for folder in (paths.cache() / "units").glob("*") if folder.is_dir())
