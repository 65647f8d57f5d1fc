"""Stage `train`: shards -> a generator and its sync discriminator, joint GAN training after LipGAN.

reads   data/index.parquet, data/shards/*.tar
writes  models/generator.safetensors, models/discriminators.safetensors, a .json beside each, reports/plots/train.csv;
        reports/train.json: who, where and when, no out of DVC
keeps   .cache/train/<key>/state.pt, from which a run that was stopped goes on, bit for bit

    python -m flows train
    LIPGAN_TRACKING=jsonl python -m tasks.train       where only torch, numpy and pyarrow are: no Prefect, no MLflow

LIPGAN_DEVICE   cuda where there is one, otherwise cpu
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model import losses, seeds
from model.gan import Gan
from model.params import Params, TrainParams
from model.samples import Batch, frame_bytes, generator_input, mask_lower_half, pictures
from tasks import checkpoints, config, lineage, loader, paths, tables, tracking, units
from tasks.loader import Batches, Clips
from tasks.progress import bar, say
from tasks.stage import UserError
from tasks.tracking import Tracker

TRAIN_VERSION = 1  # raise it when the same parameters train to other weights
KEPT_STATES = 3  # states of other parameters, so that going back to them goes on where they were
STRIP_SAMPLES = 8


def run(p: Params) -> str:
    """Train to `train.num_steps`, from the start or from where the same training stopped; one line for people."""
    device = choose_device()
    torch.manual_seed(seeds.derive(p.seed, "weights") % 2**32)
    gan = make_gan(p, device)
    state_file = paths.cache() / "train" / training_key(p) / "state.pt"
    state = checkpoints.load_state(state_file) or {"step": 0, "curve": [], "run_id": ""}
    if state["step"]:
        gan.load_state_dict(state["gan"])
        say(f"train: going on at step {state['step']} of {p.train.num_steps}")
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    with tracking.run("train", p, state["run_id"] or None) as tracker:
        state["run_id"] = tracker.run_id
        state["sessions"] = [*state.get("sessions", []), lineage.session(state["step"])]
        _loop(gan, clips, p, state, state_file, tracker)
        _write_outs(gan, clips, p, state)
        tracker.tag(lineage.record_training(p, state["sessions"], tracker.run_id))
    _forget_old_states(state_file)
    last = state["curve"][-1] if state["curve"] else {}
    figures = ", ".join(f"{name} {last[name]:.4f}" for name in ("l1", "mouth_l1", "val_mouth_l1") if name in last)
    return f"{p.train.num_steps} steps of {p.train.batch_size} on {device.type}: {figures}"


def choose_device() -> torch.device:
    given = os.environ.get("LIPGAN_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(given)
    except RuntimeError as error:
        raise UserError(f"LIPGAN_DEVICE must be cpu or cuda, got {given!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"LIPGAN_DEVICE is {given}, but torch {torch.__version__} sees no GPU here")
    return device


def make_gan(p: Params, device: torch.device) -> Gan:
    return Gan(
        width=p.model.width,
        size=p.faces.size,
        margin=p.train.margin,
        l1_weight=1.0,
        sync_weight=p.train.sync_weight,
        lip_alpha=p.train.lip_alpha,
        learning_rate=p.train.lr,
        discriminator_learning_rate=p.train.lr_discriminator,
        device=device,
        precision=p.train.precision,
        channels_last=True,
    )


def training_key(p: Params) -> str:
    """What a training run is: another one never goes on from its state."""
    index_md5 = units.md5_file(paths.INDEX) if paths.INDEX.is_file() else ""
    return f"{config.digest(p.train, p.model)[:16]}-{seeds.derive(TRAIN_VERSION, p.seed, p.faces.size, index_md5):016x}"


def rate_factor(step: int, p: TrainParams) -> float:
    """Share of the learning rate at a step: a ramp up, a plateau, a line down to a twentieth."""
    warm = min(1.0, (step + 1) / (p.warmup_steps + 1))
    decay_start = p.decay_from * p.num_steps
    if step <= decay_start:
        return warm
    return warm * max(0.05, 1 - (step - decay_start) / max(1.0, p.num_steps - decay_start))


def _loop(gan: Gan, clips: Clips, p: Params, state: dict[str, Any], state_file: Path, tracker: Tracker) -> None:
    t = p.train
    fixed = loader.fixed_batches(Clips(paths.INDEX, paths.SHARDS, "val"), t, t.val_samples, p.seed)
    batches = Batches(clips, t, p.seed, state["step"])
    sums: dict[str, torch.Tensor] = {}
    waited_s, since_s, since_step = 0.0, time.monotonic(), state["step"]
    try:
        with bar(t.num_steps, "training", "step", initial=state["step"]) as shown:
            for step in range(state["step"], t.num_steps):
                began_s = time.monotonic()
                batch = next(batches).to(gan.device)
                waited_s += time.monotonic() - began_s
                gan.set_learning_rate(rate_factor(step, t))
                for name, value in gan.step(batch).items():
                    sums[name] = sums[name] + value if name in sums else value
                shown.update()
                last = step + 1 == t.num_steps
                if (step + 1) % t.log_every == 0 or last:
                    num_steps, spent_s = step + 1 - since_step, time.monotonic() - since_s
                    row = {name: (value / num_steps).item() for name, value in sums.items()}
                    _demand_finite(row, step + 1)
                    row["lr"] = t.lr * rate_factor(step, t)
                    if (step + 1) % t.val_every == 0 or last:
                        row |= validate(gan, fixed)
                        tracker.picture("val", strip(gan, fixed[0]), step + 1)
                    state["curve"].append({"step": step + 1, **row})
                    # speed is for the watcher only: what DVC hashes holds no time
                    speed = {
                        "samples_per_s": num_steps * t.batch_size / spent_s,
                        "data_wait_share": waited_s / spent_s,
                    }
                    tracker.metrics(row | speed, step + 1)
                    shown.set_postfix_str(
                        f"mouth L1 {row['mouth_l1']:.4f}, {speed['samples_per_s']:.0f} samples/s, "
                        f"data wait {speed['data_wait_share']:.0%}",
                        refresh=False,
                    )
                    sums, waited_s, since_s, since_step = {}, 0.0, time.monotonic(), step + 1
                if (step + 1) % t.checkpoint_every == 0 or last:
                    state |= {"step": step + 1, "gan": gan.state_dict()}
                    checkpoints.save_state(state_file, state)
    finally:
        batches.close()
    if "gan" in state:
        tables.write_csv(paths.TRAIN_CURVE, state["curve"])
        tracker.file(paths.TRAIN_CURVE, "plots")


def _demand_finite(row: dict[str, float], step: int) -> None:
    if row["finite"] < 1 or not np.isfinite(row["g_loss"]):
        raise UserError(
            f"train: loss or gradient not finite before step {step}; lower train.lr, or set train.precision: fp32. "
            "The last checkpoint is kept"
        )


def validate(gan: Gan, fixed: list[Batch]) -> dict[str, float]:
    """Losses on the fixed samples, and how much of the mouth the sound decides.

    val_audio_effect: mean absolute difference inside the lip box between the faces that the right and the wrong sound
    give, as a share of that between generated and true; near 0 the generator does not listen.
    """
    sums: dict[str, float] = {}
    num = sum(len(batch.target_BSS3) for batch in fixed)
    for batch in fixed:
        batch = batch.to(gan.device)
        share = len(batch.target_BSS3) / num
        values = {name: value.item() for name, value in gan.measure(batch).items()}
        faces_B6SS = generator_input(pictures(batch.identity_BSS3), pictures(batch.target_BSS3))
        right, wrong = (gan.generate(faces_B6SS, sound) for sound in (batch.mfcc_BFW, batch.negative_BFW))
        values["effect"] = losses.mouth_l1(right, wrong, batch.mouth_B4).item()
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + share * value
    kept = ("l1", "mouth_l1", "sync_loss", "distance_right", "distance_wrong", "distance_generated")
    result = {f"val_{name}": sums[name] for name in kept}
    return result | {"val_audio_effect": sums["effect"] / max(sums["mouth_l1"], 1e-9)}


def strip(gan: Gan, batch: Batch) -> np.ndarray:
    """Samples as columns; identity, masked input, generated and true face as rows.  Shape: -> (4 S, n S, 3) uint8"""
    batch = Batch(*(part[:STRIP_SAMPLES] for part in batch)).to(gan.device)
    identity, target = pictures(batch.identity_BSS3), pictures(batch.target_BSS3)
    generated = gan.generate(generator_input(identity, target), batch.mfcc_BFW)
    rows = [frame_bytes(part).cpu().numpy() for part in (identity, mask_lower_half(target), generated, target)]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def _write_outs(gan: Gan, clips: Clips, p: Params, state: dict[str, Any]) -> None:
    about = {
        "params": {name: config.as_dict(getattr(p, name)) for name in ("faces", "model", "train")} | {"seed": p.seed},
        "loop": {"step": state["step"], "epoch": state["step"] // loader.batches_per_epoch(len(clips), p.train)},
        "loader": {"next_batch": state["step"] % loader.batches_per_epoch(len(clips), p.train), **loader.about(clips)},
        "lineage": {
            "index_md5": units.md5_file(paths.INDEX),
            "corpora": sorted({row["corpus"] for row in clips.rows}),
            "licences": sorted({row["licence"] for row in clips.rows}),
            "torch": torch.__version__.split("+")[0],
            "train_version": TRAIN_VERSION,
        },
        "last": state["curve"][-1] if state["curve"] else {},
    }
    checkpoints.save(paths.GENERATOR, gan.generator.state_dict(), about | {"network": "generator"})
    checkpoints.save(paths.DISCRIMINATORS, gan.discriminator.state_dict(), about | {"network": "sync discriminator"})
    tables.write_csv(paths.TRAIN_CURVE, state["curve"])


def _forget_old_states(current: Path) -> None:
    """Keep the states of the last few trainings, by time of use."""
    others = sorted(
        (file for file in current.parents[1].glob("*/state.pt") if file != current),
        key=lambda file: file.stat().st_mtime,
    )
    for file in others[: -KEPT_STATES or None]:
        file.unlink()
        file.parent.rmdir()


if __name__ == "__main__":
    try:
        say(run(config.load(paths.PARAMS)))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
