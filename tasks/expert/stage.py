"""Stage `expert`: shards -> the sync expert, which decides whether a sound belongs to a mouth and trains the generator.

reads   data/index.parquet, data/shards/*.tar
writes  models/expert.safetensors and .json, reports/expert.json, reports/plots/expert.csv, expert-offsets.csv
keeps   .cache/expert/<key>/state.pt, from which an interrupted run resumes bit for bit

    python -m flows expert
    LIPGAN_TRACKING=jsonl python -m tasks.expert      with only torch, numpy and pyarrow installed

Validated on a fixed list of runs of the `val` split: other speakers, voices and phrases.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model import expert, frame_runs, schedules, seeds
from model.expert import SyncExpert, step_loss
from model.metrics import sync_offsets
from model.optim import adam, update
from model.params import ExpertParams, Params
from tasks.core import config, csv_tables, files, paths
from tasks.core.device import choose_device
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.progress import bar, say
from tasks.expert import diagnose
from tasks.expert.batches import batches, usable
from tasks.inference import checkpoints, sync_meter
from tasks.loading.clips import Clips
from tasks.tracking import runs as tracking
from tasks.tracking.naming import CHECKPOINT
from tasks.tracking.runs import Tracker

EXPERT_VERSION = 2  # raise it when the same parameters train to other weights
PLATEAU_SHARE = 0.97  # a loss above this share of ln 2 is on the plateau
PATIENCE = 200  # steps on the plateau before it is diagnosed


def run(p: Params) -> str:
    """Train to `expert.num_steps`, from the start or the last state of the same training; returns a summary line."""
    device = choose_device()
    torch.manual_seed(seeds.derive(p.seed, "expert weights") % 2**32)
    network = SyncExpert(p.model.width, p.faces.size).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    optimizer = adam(network, p.expert.lr, p.expert.weight_decay)
    state_file = paths.cache() / "expert" / expert_key(p) / "state.pt"
    state = checkpoints.load_state(state_file) or {"step": 0, "curve": [], "run_id": "", "checked": ""}
    if state["step"]:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        say(f"expert: resuming at step {state['step']} of {p.expert.num_steps}")
    clips, val = (Clips(paths.INDEX, paths.SHARDS, split) for split in ("train", "val"))
    with tracking.run("expert", p, state["run_id"] or None) as tracker:
        state["run_id"] = tracker.run_id
        _loop(network, optimizer, clips, val, p, state, state_file, tracker)
        panel = measure(network, val, p.expert) | {"diagnosis": state["checked"] or "not on the plateau"}
        tested = measure(network, Clips(paths.INDEX, paths.SHARDS, "test"), p.expert)
        panel["test"] = {name: tested[name] for name in ("accuracy", "accuracy_2afc", "in_sync_share", "runs", "clips")}
        write_outs(network, clips, p, state, panel)
        figures = {f"test_{name}": tested[name] for name in ("accuracy", "accuracy_2afc", "in_sync_share")}
        tracker.metrics(figures, state["step"])
        tracker.tag({CHECKPOINT: files.md5_file(paths.EXPERT)})
        for file in (paths.EXPERT_REPORT, paths.EXPERT_CURVE, paths.EXPERT_OFFSETS):
            tracker.file(file, "expert")
    return (
        f"{p.expert.num_steps} steps on {device.type}; on held-out clips, {panel['accuracy_2afc']:.1%} of runs are "
        f"nearer to their own sound than to one {sync_offsets.FAR} or more frames off, and {panel['accuracy']:.1%} are "
        "classified right"
    )


def expert_key(p: Params) -> str:
    """The folder of this training's state; other parameters, data or code version give another one."""
    index_md5 = files.md5_file(paths.INDEX) if paths.INDEX.is_file() else ""
    sections = config.digest(p.expert, p.model.network)[:16]
    return f"{sections}-{seeds.derive(EXPERT_VERSION, p.seed, p.faces.size, index_md5):016x}"


def _loop(
    network: SyncExpert,
    optimizer: torch.optim.Adam,
    clips: Clips,
    val: Clips,
    p: Params,
    state: dict[str, Any],
    state_file: Path,
    tracker: Tracker,
) -> None:
    e, device = p.expert, network.scale.device
    coming = batches(clips, p, state["step"])
    total, since_step, since_s = torch.zeros((), device=device), state["step"], time.monotonic()
    with bar(e.num_steps, "training the expert", "step", initial=state["step"]) as progress:
        for step in range(state["step"], e.num_steps):
            network.train()
            for group in optimizer.param_groups:
                group["lr"] = e.lr * schedules.expert_rate(step, e)
            loss, pair = step_loss(network, next(coming), e)
            update(network, optimizer, loss)
            total = total + pair
            progress.update()
            last = step + 1 == e.num_steps
            if (step + 1) % e.log_every == 0 or last:
                row = {"expert_loss": (total / (step + 1 - since_step)).item()}
                if not np.isfinite(row["expert_loss"]):
                    raise UserError(f"expert: loss not finite before step {step + 1}; lower expert.lr")
                if (step + 1) % e.val_every == 0 or last:
                    figures = measure(network, val, e)
                    row |= {f"val_{name}": figures[name] for name in ("expert_loss", "accuracy", "accuracy_2afc")}
                    _check_plateau(network, clips, p, state, row, step + 1)
                state["curve"].append({"step": step + 1, **row})
                runs_per_s = (step + 1 - since_step) * e.clips_per_batch * e.runs_per_clip
                tracker.metrics(row | {"runs_per_s": runs_per_s / (time.monotonic() - since_s)}, step + 1)
                progress.set_postfix_str(f"loss {row['expert_loss']:.3f} (ln 2 is 0.693)", refresh=False)
                total, since_step, since_s = torch.zeros((), device=device), step + 1, time.monotonic()
            if (step + 1) % e.checkpoint_every == 0 or last:
                state |= {"step": step + 1, "network": network.state_dict(), "optimizer": optimizer.state_dict()}
                checkpoints.save_state(state_file, state)
    coming.close()  # type: ignore[attr-defined]  # a generator


def _check_plateau(
    network: SyncExpert, clips: Clips, p: Params, state: dict[str, Any], row: dict[str, float], step: int
) -> None:
    """At ln 2, report once whether waiting helps.  Errors: UserError if the data are at fault"""
    if step < PATIENCE or row["expert_loss"] < PLATEAU_SHARE * expert.PLATEAU:
        state["checked"] = ""
        return
    if not state["checked"]:
        diagnosis = diagnose.diagnose(clips, p)
        state["checked"] = diagnosis.line
        if diagnosis.kind == "data problem":
            raise UserError(f"expert: loss {row['expert_loss']:.3f} at step {step}: {diagnosis.line}")
    say(f"expert: loss {row['expert_loss']:.3f} at step {step}, ln 2 is 0.693: {state['checked']}")


def measure(network: SyncExpert, clips: Clips, p: ExpertParams) -> dict[str, Any]:
    """How well the expert separates pairs in sync from others, on a fixed set of runs of these clips.

    accuracy        share classified right at probability 1/2, in sync against 3 or more frames off; chance 0.5
    accuracy_2afc   share of runs nearer to their own sound than to one 3 or more frames off; chance 0.5
    accuracy_by_offset, offset_histogram, calibration   see model.metrics.sync_offsets
    in_sync_share   share of clips whose best offset is at most one frame
    """
    network.eval()
    by_clip = []
    found = clips.found()
    numbers = usable(clips)
    starts_of = [frame_runs.starts(found[number]) for number in numbers]
    for number, start_N in zip(numbers, frame_runs.fixed(starts_of, p.val_runs), strict=True):
        clip = clips[number]
        by_clip.append(sync_meter.distances(network, clip.faces_TSS3, clip.mfcc_FW, start_N, p.max_offset))
    distances_NK = np.concatenate(by_clip)
    probability_NK = sync_meter.probability(network, distances_NK)
    offsets = [sync_offsets.summary(one_NK)["offset_frames"] for one_NK in by_clip]
    return {
        "accuracy": sync_offsets.binary_accuracy(probability_NK),
        "accuracy_2afc": sync_offsets.far_accuracy(distances_NK),
        "expert_loss": sync_offsets.far_loss(probability_NK),
        "accuracy_by_offset": sync_offsets.accuracy_by_offset(distances_NK),
        "offset_histogram": sync_offsets.offset_histogram(distances_NK),
        "calibration": sync_offsets.calibration(probability_NK),
        "clip_offsets": offsets,
        "in_sync_share": float(np.mean(np.abs(offsets) <= 1)),
        "runs": len(distances_NK),
        "clips": len(by_clip),
    }


def write_outs(network: SyncExpert, clips: Clips, p: Params, state: dict[str, Any], panel: dict[str, Any]) -> None:
    about = {
        "network": "sync expert",
        "params": {
            "faces": config.as_dict(p.faces),
            "model": config.as_dict(p.model.network),
            "expert": config.as_dict(p.expert),
            "seed": p.seed,
        },
        "loop": {"step": state["step"]},
        "lineage": {
            "index_md5": files.md5_file(paths.INDEX),
            "corpora": sorted({row["corpus"] for row in clips.rows}),
            "licences": sorted({row["licence"] for row in clips.rows}),
            "torch": torch.__version__.split("+")[0],
            "expert_version": EXPERT_VERSION,
        },
        "last": state["curve"][-1],
    }
    checkpoints.save(paths.EXPERT, network.state_dict(), about)
    write_atomic(paths.EXPERT_REPORT, json.dumps(csv_tables.rounded(panel), indent=2) + "\n")
    csv_tables.write_csv(paths.EXPERT_CURVE, state["curve"])
    csv_tables.write_csv(
        paths.EXPERT_OFFSETS,
        [
            {"offset_frames": k, "accuracy": panel["accuracy_by_offset"].get(k, ""), "runs_nearest": num}
            for k, num in panel["offset_histogram"].items()
        ],
    )
