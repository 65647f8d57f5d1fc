"""Flow `preprocess`: a task for each shard."""

import json

from flows import engine, pages
from model.params import Params
from tasks.core import paths
from tasks.preprocess import stage as preprocess
from tasks.tracking import runs as tracking


@engine.stage_flow("preprocess")
def run(p: Params) -> None:
    planned, refused = preprocess.plan(p)
    pages.entitle(f"preprocess {p.corpus.name} {len(planned)} shards")
    ran = engine.run_units("preprocess", planned, preprocess.build)
    engine.done("preprocess", f"{ran}: {preprocess.collect(planned, refused)}")
    report = json.loads(paths.PREPROCESS_REPORT.read_text())
    pages.refusals("preprocess", report["kept"], report["refused_by_reason"])
    with tracking.run("preprocess", p) as tracker:
        figures = {name: report[name] for name in ("kept", "refused", "frames", "hours")}
        tracker.metrics(figures | report["refused_by_reason"], 0)
        tracker.file(paths.PREPROCESS_PAGE, "reports")
