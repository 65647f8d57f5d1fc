"""Flow `acquire`: one task for each part to download, then one for each raw shard."""

from flows import engine, pages
from model.params import Params
from tasks.acquire import stage as acquire
from tasks.storage import index
from tasks.tracking import runs as tracking


@engine.stage_flow("acquire")
def run(p: Params) -> None:
    for names in acquire.rounds(p):
        engine.run_each("fetch", names, lambda name: acquire.download(p, name))
        if ready := acquire.ready(p):
            engine.run_units("acquire", ready, acquire.build, after=acquire.release)
    planned, refused = acquire.plan(p)
    pages.entitle(f"acquire {p.corpus.name} {len(planned)} raw shards")
    ran = engine.run_units("acquire", planned, acquire.build, after=acquire.release)
    engine.done("acquire", f"{ran}: {acquire.collect(planned, refused, p)}")
    num_clips, reasons = sum(unit.size for unit in planned), index.refused_by_reason(refused)
    pages.refusals("acquire", num_clips, reasons)
    with tracking.run("acquire", p) as tracker:
        tracker.metrics({"clips": num_clips, "shards": len(planned), "refused": len(refused)} | reasons, 0)
