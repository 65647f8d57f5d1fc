"""A sentence on this evaluation against the last commit's, which another machine may have made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.metrics import registry
from tasks.core import config, paths, programs
from tasks.core.errors import UserError
from tasks.evaluate import compare
from tasks.evaluate.measure import Record


def sentence(records: Sequence[Record], about: Mapping[str, Any]) -> str:
    """`about`: the description of the checkpoint.

    A repetition of the committed training gets figures and no verdict: after a first demo on another processor,
    "worse than the committed one" would say nothing that a user can act on.
    """
    now = compare.of_rows(records)
    try:
        before = compare.committed("HEAD")
        if before == now:
            return "The last commit has the same figures, clip by clip."
        pairs = compare.tables(before, now)
    except UserError as error:
        return f"There is no evaluation in the last commit to compare it with ({error})."
    if not repeats(about):
        return "Against the last commit: " + compare.sentence(pairs, "the committed one", "this")
    figures = "; ".join(
        f"{registry.METRICS[pair.metric].title} {pair.a:.3f} there, {pair.b:.3f} here"
        for pair in pairs
        if pair.metric in compare.HEADLINE
    )
    return f"The last commit has a training with the same data and parameters{machines()}: {figures}."


def repeats(about: Mapping[str, Any]) -> bool:
    """Whether the last commit trained with these parameters on this index."""
    panel, text = committed(paths.METRICS), committed(paths.PARAMS)
    if not panel or not text:
        return False
    try:
        p = config.parse(text.encode(), paths.PARAMS)
    except UserError:  # of another version
        return False
    sections: dict[str, Any] = {
        "faces": config.as_dict(p.faces),
        "model": config.as_dict(p.model.network),
        "train": config.as_dict(p.train),
        "seed": p.seed,
    }
    ours = about["params"]
    del sections["train"]["time_limit_s"]  # it changes no byte of the result
    same_data = json.loads(panel)["about"]["index_md5"] == about["lineage"]["index_md5"]
    return same_data and all(ours.get(name) == value for name, value in sections.items())


def machines() -> str:
    """The processors of both trainings, as far as their records say."""
    here = paths.TRAIN_RECORD.read_text() if paths.TRAIN_RECORD.is_file() else ""
    there = committed(paths.TRAIN_RECORD)
    if not here or not there:
        return ""
    now, then = (json.loads(text)["machine"]["cpu"] for text in (here, there))
    if now == then:
        return ", by other code"
    return f" on another processor ({then}; this one: {now}). Processors round differently, so the weights differ"


def committed(path: Path) -> str:
    return programs.git("show", f"HEAD:{path.as_posix()}") or ""
