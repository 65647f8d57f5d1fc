"""The joint training step compared with plain loops over the same networks, interleaved in one run.

    python -m benchmarks.train                              needs data/ (`dvc repro preprocess`); full width
    python -m benchmarks.train --width 0.125 --batch 16     the demo's size
    writes benchmarks/results/train-<cpu or cuda>-w<width>-b<batch>.json

ours             tasks.loading.batches, model.gan: bf16, channels_last, fused Adam, the discriminator's fakes from the
                 same pass
ours_compiled    the same under torch.compile (CUDA: with CUDA graphs)                    with --compile
lipgan_order     ours with train.separate_fakes: a second pass makes the fakes
plain            the same arithmetic as `ours` without optimisations: fp32, NCHW, default Adam, the same loader
plain_order      plain, in LipGAN's order, as in its authors' loop
wav2lip_style    the plain step with a loader like Wav2Lip's: a file per frame, cv2.imread, floats computed on the CPU
                 sample by sample by DataLoader workers, .item() after every step. Sound features are read from
                 precomputed files (Wav2Lip computes them again for each sample, which is not counted here)

FLOPs are counted by torch (2 per multiply-add, forward and backward); the device's matrix rate is the best of five
products of square matrices, timed in the same run.
"""

import argparse
import contextlib
import gc
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import RESULTS, commit, machine
from model.discriminator import SyncDiscriminator, distance
from model.gan import Gan
from model.generator import Generator
from model.losses import contrastive, lip_weighted_l1
from model.samples import Batch, generator_input, pictures
from tasks.core import config, paths
from tasks.loading import batches as loader
from tasks.loading.batches import Batches
from tasks.loading.clips import Clips
from tasks.loading.resident import Resident

ALIKE: dict = {"precision": "bf16", "separate_fakes": False, "average": 0.0, "audio_from_expert": "never"}
Step = Callable[[], float]  # trains one batch; seconds it waited for data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch", type=int, help="default: 32, on a GPU 1024")
    parser.add_argument("--steps", type=int, help="a round; default: 1, on a GPU 10")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="also under torch.compile (minutes on a CPU)")
    args = parser.parse_args()
    device = torch.device(args.device)
    on_gpu = device.type == "cuda"
    batch = args.batch or (1024 if on_gpu else 32)
    p = config.load(paths.PARAMS)
    p = replace(
        p,
        model=replace(p.model, width=args.width),
        train=replace(p.train, batch_size=batch, num_runs=0, terms=without_runs(p.train.terms), **ALIKE),
    )
    clips = Clips(paths.INDEX, paths.SHARDS, "train")
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        variants = make_variants(p, clips, device, Path(scratch), stack, compiled=args.compile)
        timings = interleaved(variants, device, args.steps or (10 if on_gpu else 1), args.rounds, batch)
    flops = {name: flops_a_sample(p, name == "lipgan_order") for name in ("ours", "lipgan_order")}
    rates = {name: matrix_rate(device, dtype) for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32))}
    rows = {name: row | shares(name, row, flops, rates) for name, row in timings.items()}
    speed = {name: row["samples_per_s"] for name, row in rows.items()}
    result = {
        "machine": machine(device),
        "commit": commit(),
        "torch": torch.__version__.split("+")[0],
        "width": args.width,
        "size": p.faces.size,
        "batch": batch,
        "gflop_a_sample": {name: round(value / 1e9, 2) for name, value in flops.items()},
        "matrix_tflops": {name: round(value / 1e12, 3) for name, value in rates.items()},
        "variants": rows,
        "ours_over": {name: round(speed["ours"] / speed[name], 2) for name in speed if name != "ours"},
    }
    out = RESULTS / f"train-{device.type}-w{args.width:g}-b{batch}.json"
    out.write_text(json.dumps(result, indent=2) + "\n")
    show(result)


def without_runs(terms):
    """LipGAN's terms alone, as in the plain loops."""
    off = {name: replace(getattr(terms, name), weight=0.0) for name in ("expert", "quality", "temporal", "perceptual")}
    return replace(terms, **off)


def make_variants(
    p, clips: Clips, device: torch.device, scratch: Path, stack: contextlib.ExitStack, *, compiled: bool
) -> dict[str, Step]:
    resident = Resident(clips, device)

    def batches() -> Batches:
        made = Batches(clips, p.train, p.seed, 0, make=resident.batch)
        stack.callback(made.close)
        return made

    def ours(mode: str = "", **settings) -> Step:
        torch.manual_seed(0)
        gan = Gan(p.model.width, p.faces.size, replace(p.train, **settings), device, compiled=mode)
        source = batches()

        def step() -> float:
            batch, waited_s = timed(lambda: next(source).to(device))
            gan.step(batch)
            return waited_s

        return step

    variants = {"ours": ours(), "lipgan_order": ours(separate_fakes=True)}
    if compiled:
        variants["ours_compiled"] = ours("reduce-overhead" if device.type == "cuda" else "default")
    source = batches()
    variants["plain"] = plain(p, device, lambda: floats(next(source), device))
    ordered = batches()
    variants["plain_order"] = plain(p, device, lambda: floats(next(ordered), device), separate_fakes=True)
    frames = wav2lip_frames(p, clips, scratch)
    variants["wav2lip_style"] = plain(p, device, lambda: [part.to(device) for part in next(frames)], reads=True)
    return variants


def plain(
    p,
    device: torch.device,
    take: Callable[[], list[torch.Tensor]],
    *,
    reads: bool = False,
    separate_fakes: bool = False,
) -> Step:
    """The joint step in its usual form. `reads`: the loss is read after every step."""
    torch.manual_seed(0)
    generator = Generator(p.model.width, p.faces.size).to(device).train()
    discriminator = SyncDiscriminator(p.model.width, p.faces.size).to(device).train()
    of_generator = torch.optim.Adam(generator.parameters(), lr=p.train.lr)
    of_discriminator = torch.optim.Adam(discriminator.parameters(), lr=p.train.lr_discriminator)
    running = [0.0]

    def step() -> float:
        (identity, target, mfcc, negative, mouth), waited_s = timed(take)
        generated = generator(generator_input(identity, target), mfcc)
        shown = generated.detach()
        if separate_fakes:  # Keras's predict: no gradient, running statistics
            with torch.no_grad():
                shown = generator.eval()(generator_input(identity, target), mfcc)
            generator.train()
        fakes, real = discriminator.embed_faces(shown), discriminator.embed_faces(target)
        right, wrong = discriminator.embed_audio(mfcc), discriminator.embed_audio(negative)
        apart = [distance(real, right), distance(fakes, right), distance(real, wrong)]
        in_sync = [torch.full_like(apart[0], value) for value in (1.0, 0.0, 0.0)]
        losses = [contrastive(a, b, p.train.margin) for a, b in zip(apart, in_sync, strict=True)]
        of_discriminator.zero_grad()
        (losses[0] / 2 + (losses[1] + losses[2]) / 4).backward()
        of_discriminator.step()
        far = discriminator(generated, mfcc)
        l1 = lip_weighted_l1(generated, target, mouth, p.train.lip_alpha)
        of_generator.zero_grad()
        (l1 + p.train.terms.sync.weight * contrastive(far, torch.ones_like(far), p.train.margin)).backward()
        of_generator.step()
        if reads:
            running[0] += l1.item()
        return waited_s

    return step


def floats(batch: Batch, device: torch.device) -> list[torch.Tensor]:
    batch = batch.to(device)
    images = [pictures(part).contiguous() for part in (batch.identity_BSS3, batch.target_BSS3)]
    return [*images, batch.mfcc_BFW, batch.negative_BFW, batch.mouth_B4]


class Frames(Dataset):
    """A file per frame and one of sound features per clip, read sample by sample."""

    def __init__(self, p, clips: Clips, folder: Path, num_clips: int = 64) -> None:
        self.size = p.faces.size
        self.clips = []
        for number in range(min(num_clips, len(clips))):
            clip, home = clips[number], folder / f"{number:05d}"
            home.mkdir()
            for t, face_SS3 in enumerate(clip.faces_TSS3):
                cv2.imwrite(str(home / f"{t}.jpg"), face_SS3[..., ::-1])
            np.save(home / "mfcc.npy", clip.mfcc_FW)
            self.clips.append((home, len(clip.faces_TSS3)))

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, number: int) -> tuple[torch.Tensor, ...]:
        rng = np.random.default_rng(number)
        home, num_frames = self.clips[rng.integers(len(self.clips))]
        target, identity, other = rng.integers(num_frames, size=3)
        mfcc_FW = np.load(home / "mfcc.npy")
        sounds = [torch.from_numpy(loader.window(mfcc_FW, int(t))) for t in (target, other)]
        box = torch.tensor([self.size // 3, self.size // 2, 2 * self.size // 3, self.size - 8], dtype=torch.int16)
        return self._picture(home, identity), self._picture(home, target), *sounds, box

    def _picture(self, home: Path, t: int) -> torch.Tensor:
        image = cv2.resize(cv2.imread(str(home / f"{t}.jpg")), (self.size, self.size))
        return torch.from_numpy((image / 255.0).transpose(2, 0, 1).astype(np.float32))


def wav2lip_frames(p, clips: Clips, scratch: Path) -> Iterator[list[torch.Tensor]]:
    frames = Frames(p, clips, scratch)
    workers = min(16, len(os.sched_getaffinity(0)))
    return iter(DataLoader(frames, batch_size=p.train.batch_size, num_workers=workers, drop_last=True))


def timed(work):
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def interleaved(
    variants: dict[str, Step], device: torch.device, num_steps: int, num_rounds: int, batch: int
) -> dict[str, dict[str, float]]:
    """Some steps of each variant in every round, so that other load on the machine slows all of them equally."""
    speeds: dict[str, list[float]] = {name: [] for name in variants}
    waits: dict[str, list[float]] = {name: [] for name in variants}
    peaks: dict[str, float] = dict.fromkeys(variants, 0.0)
    for number in range(-1, num_rounds):  # the first warms up
        for name, step in variants.items():
            gc.collect()
            forget_peak(device)
            began = time.perf_counter()
            waited_s = sum(step() for _ in range(num_steps))
            if device.type == "cuda":
                torch.cuda.synchronize()
            spent_s = time.perf_counter() - began
            if number >= 0:
                speeds[name].append(num_steps * batch / spent_s)
                waits[name].append(waited_s / spent_s)
                peaks[name] = max(peaks[name], peak_bytes(device))
            print(f"round {number + 1}/{num_rounds} {name}: {num_steps * batch / spent_s:.2f} samples/s", flush=True)
    return {
        name: {
            "samples_per_s": round(statistics.median(speeds[name]), 3),
            "slowest": round(min(speeds[name]), 3),
            "fastest": round(max(speeds[name]), 3),
            "data_wait_share": round(statistics.median(waits[name]), 4),
            "peak_gb": round(peaks[name] / 1e9, 2),
        }
        for name in variants
    }


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak of this process


def peak_bytes(device: torch.device) -> float:
    """Of the GPU or this process, including the weights and moments of all variants, which are the same for each."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text()
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return float(found[0]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def flops_a_sample(p, separate_fakes: bool) -> float:
    """Counted on a batch of two, on the CPU."""
    train = replace(p.train, precision="fp32", separate_fakes=separate_fakes)
    gan = Gan(p.model.width, p.faces.size, train, "cpu", channels_last=False)
    size = p.faces.size
    faces_BSS3 = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    sound_BFW = torch.randn(2, 12, 35)
    with FlopCounterMode(display=False) as counter:
        gan.step(Batch(faces_BSS3, faces_BSS3, sound_BFW, sound_BFW, torch.tensor([[8, 8, 16, 16]] * 2)))
    return counter.get_total_flops() / 2


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP a second of a square matrix product."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best_s = float("inf")
    for _ in range(6):
        began = time.perf_counter()
        F.linear(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - began)
    return 2 * side**3 / best_s


def shares(name: str, row: dict[str, float], flops: dict[str, float], rates: dict[str, float]) -> dict[str, float]:
    each = flops["lipgan_order" if name.endswith("_order") else "ours"]
    rate = rates["fp32" if name.startswith(("plain", "wav2lip")) else "bf16"]
    done = each * row["samples_per_s"]
    return {"share_of_matrix_rate": round(done / rate, 4), "share_of_bf16_rate": round(done / rates["bf16"], 4)}


def show(result: dict) -> None:
    print(f"{result['machine']}, width {result['width']:g}, batch {result['batch']}, torch {result['torch']}")
    print("| | samples/s | ours is | of the matrix rate | data wait | peak GB |\n|-|-|-|-|-|-|")
    for name, row in result["variants"].items():
        ratio = f"{result['ours_over'][name]:.2f} x" if name in result["ours_over"] else ""
        print(
            f"| {name} | {row['samples_per_s']:.2f} | {ratio} | {row['share_of_matrix_rate']:.1%} | "
            f"{row['data_wait_share']:.1%} | {row['peak_gb']:.2f} |"
        )


if __name__ == "__main__":
    main()
