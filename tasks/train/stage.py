"""Stage `train`: shards -> a generator and its sync discriminator, joint GAN training after LipGAN.

reads   data/index.parquet, data/shards/*.tar, models/expert.safetensors
writes  models/generator.safetensors, models/discriminators.safetensors, a .json beside each, reports/plots/train.csv;
        reports/train.json: code, machine and dates, not an output for DVC
keeps   .cache/train/<key>/state.pt, from which an interrupted run resumes bit for bit

    python -m flows train
    torchrun --nproc-per-node 8 -m tasks.train        one process per GPU; batch_size is the global one; several
                                                      machines: docs/several-machines.md
    LIPGAN_TRACKING=jsonl python -m tasks.train       without Prefect, MLflow and DVC

On SIGTERM, Ctrl-C or after `train.time_limit_s` it saves at the next step and exits with status 75; the same command,
or `dvc repro`, resumes. These variables decide where and how fast it runs and change no result:

LIPGAN_DEVICE    default: cuda if there is a GPU, otherwise cpu
LIPGAN_DATA      disk (default): clips are decoded when drawn | ram, device: the whole split is held there as bytes |
                 stream: see tasks.loading.streaming; other batches, so another training
LIPGAN_COMPILE   a mode of torch.compile: default | reduce-overhead (CUDA graphs) | max-autotune; unset: not compiled
LIPGAN_PREFETCH  see tasks.loading.batches      LIPGAN_STATE  see tasks.train.state
"""

import os
import socket
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch

from model import seeds
from model.distributed import num_ranks, rank
from model.expert import SyncExpert
from model.gan import Gan
from model.params import Params, TrainParams
from tasks.core import config, csv_tables, files, paths
from tasks.core import distributed as ranks
from tasks.core.device import choose_device
from tasks.core.errors import UserError
from tasks.core.memory import explain_out_of_memory
from tasks.core.progress import say
from tasks.core.stopping import stoppable
from tasks.core.version import code_digest
from tasks.inference import checkpoints
from tasks.loading import batches, resident, streaming
from tasks.loading.batches import Batches
from tasks.loading.clips import Clips
from tasks.loading.streaming import Streamed
from tasks.provenance import agreement, training_record
from tasks.tracking import runs as tracking
from tasks.tracking.naming import CHECKPOINT
from tasks.train import validation
from tasks.train.loop import Trainer
from tasks.train.state import TRAIN_VERSION, States

COMPILE_MODES = ("", "default", "reduce-overhead", "max-autotune")


def run(p: Params) -> str:
    """Train to `train.num_steps`, from the start or the last state of the same training; returns a summary line."""
    with (
        stoppable(p.train.time_limit_s, "train.time_limit_s") as stop,
        ranks.together(choose_device()) as device,
        explain_out_of_memory(device, f"train.batch_size ({p.train.batch_size}) or model.width ({p.model.width:g})"),
    ):
        for name in ("batch_size", "num_runs"):
            if (value := getattr(p.train, name)) % num_ranks():
                raise UserError(f"train.{name} is {value}: {num_ranks()} processes cannot share it evenly")
        states = States(p, ranks.keeps(paths.cache()))
        ranks.demand_same(states.identity | {"code": code_digest()} | training_record.libraries())
        if num_ranks() > ranks.num_here() and ranks.first():
            say(f"train: {num_ranks()} processes; this machine, {socket.gethostname()}, writes the results")
        clips, val_clips = (Clips(paths.INDEX, paths.SHARDS, split) for split in ("train", "val"))
        streamed = resident.place() == "stream"
        streaming.demand(clips) if streamed else clips.check()
        val_clips.check()
        make_batch = resident.maker(clips, device)
        state = states.load()
        tracked = tracking.run("train", p, state["run_id"] if state else None)
        with tracked if ranks.first() else nullcontext(tracking.Nowhere()) as tracker:
            trainer = Trainer(
                p,
                make_gan=lambda: make_gan(p, device),
                batches_from=lambda step: (Streamed if streamed else Batches)(
                    clips, p.train, p.seed, step, make=make_batch, rank=rank(), num_ranks=num_ranks(),
                    pin=device.type == "cuda" and not resident.on_device(),
                ),
                fixed=validation.fixed(val_clips, p.train, p.seed) if ranks.first() else None,
                states=states,
                tracker=tracker,
                stop=stop,
            )  # fmt: skip
            if state:
                trainer.restore(state)
                if ranks.first():
                    say(f"train: resuming at step {trainer.step} of {p.train.num_steps}")
            trainer.run_id = ranks.from_first(lambda: tracker.run_id)
            session = ranks.from_first(lambda: training_record.session(trainer.step))
            trainer.sessions = [*trainer.sessions, session]
            trainer.run()
            if ranks.first():
                _write_outs(trainer, clips, p)
                tracker.file(paths.TRAIN_CURVE, "plots")
                tracker.tag(training_record.record_training(p, trainer.sessions, tracker.run_id))
                tracker.tag({CHECKPOINT: files.md5_file(paths.GENERATOR)})
            if states.kept:
                states.delete_others()
    last = trainer.curve[-1] if trainer.curve else {}
    figures = ", ".join(f"{name} {last[name]:.4f}" for name in ("l1", "mouth_l1", "val_mouth_l1") if name in last)
    return f"{p.train.num_steps} steps of {p.train.batch_size} on {device.type}: {figures}"


def make_gan(p: Params, device: torch.device) -> Gan:
    """The initial networks: the same on every rank and at every call."""
    compiled = os.environ.get("LIPGAN_COMPILE", "")
    if compiled not in COMPILE_MODES:
        raise UserError(f"LIPGAN_COMPILE must be one of {', '.join(COMPILE_MODES[1:])}, got {compiled!r}")
    torch.manual_seed(seeds.derive(p.seed, "weights") % 2**32)
    expert, audio = load_expert(p) if needs_expert(p.train) else (None, {})
    gan = Gan(p.model.width, p.faces.size, p.train, device, expert=expert, compiled=compiled)
    if p.train.audio_from_expert != "never":
        gan.generator.audio_code.load_state_dict(audio)
        if gan.average:
            gan.average.network.audio_code.load_state_dict(audio)
    return gan


def needs_expert(t: TrainParams) -> bool:
    return t.audio_from_expert != "never" or t.terms.expert.weight > 0 or t.terms.perceptual.weight > 0


def load_expert(p: Params) -> tuple[SyncExpert, dict[str, torch.Tensor]]:
    """The frozen expert, and the weights of its audio encoder.  Errors: UserError if it has another size."""
    weights, about = checkpoints.load(paths.EXPERT)
    width, size = checkpoints.sizes(about, paths.EXPERT)
    trained = {"model.width": width, "faces.size": size}
    expected = {"model.width": p.model.width, "faces.size": p.faces.size}
    if trained != expected:
        raise UserError(f"{paths.EXPERT}: trained with {trained}, params.yaml has {expected}; run `dvc repro expert`")
    expert = SyncExpert(p.model.width, p.faces.size)
    checkpoints.load_weights(expert, weights, paths.EXPERT)
    audio = {n.removeprefix("audio_code."): w for n, w in weights.items() if n.startswith("audio_code.")}
    return expert, audio


def _write_outs(trainer: Trainer, clips: Clips, p: Params) -> None:
    about, gan = describe(p, clips, trainer.step, trainer.alarms, trainer.curve), trainer.gan
    checkpoints.save(paths.GENERATOR, gan.shown.state_dict(), about | {"network": "generator"})
    checkpoints.save(paths.DISCRIMINATORS, gan.discriminator.state_dict(), about | {"network": "sync discriminator"})
    csv_tables.write_csv(paths.TRAIN_CURVE, trainer.curve)


def describe(
    p: Params, clips: Clips, step: int, alarms: list[dict[str, Any]], curve: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What the JSON beside the weights of a step says."""
    per_epoch = batches.batches_per_epoch(len(clips), p.train)
    params = {
        "faces": config.as_dict(p.faces),
        "model": config.as_dict(p.model.network),
        "train": config.as_dict(p.train),
    }
    del params["train"]["time_limit_s"]  # it changes no byte of the result
    return {
        "params": params | {"seed": p.seed},
        "loop": {"step": step, "epoch": step // per_epoch},
        "loader": {"next_batch": step % per_epoch, **batches.about(clips), **streaming.facts()},
        "lineage": {
            "index_md5": files.md5_file(paths.INDEX),
            "corpora": sorted({row["corpus"] for row in clips.rows}),
            "licences": sorted({row["licence"] for row in clips.rows}),
            "agreement": agreement.of({row["corpus"] for row in clips.rows}),
            "torch": torch.__version__.split("+")[0],
            "train_version": TRAIN_VERSION,
        },
        "alarms": alarms,
        "last": curve[-1] if curve else {},
    }
