"""Backends of the generator: ms per frame at the demo's width and LipGAN's own, and the quality of their pictures.

    python -m benchmarks.backends            benchmarks/results/backends.json
    python -m benchmarks.backends --compile  run first: torch.compile, which takes minutes, fills its cache

eager: torch's default memory layout; channels_last: as in dubbing; torch.compile only at the demo's width, because it
takes minutes. Times at full width are of random weights, which cost the same as trained ones; the pictures are checked
at the demo's width, by the gate of tasks/inference/auto_backend.py.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import RESULTS, machine
from model.generator import Generator
from tasks.core import paths
from tasks.inference import auto_backend, backends, checkpoints, int8, lip_sync
from tasks.inference.lip_sync import LipSync

RESULT = RESULTS / "backends.json"
BATCHES, ROUNDS = (1, 8), 5


def full_width(folder: Path) -> Path:
    """A checkpoint of LipGAN's own size with random weights."""
    _, about = checkpoints.load(paths.GENERATOR)
    about["params"]["model"]["width"] = 1.0
    torch.manual_seed(0)
    out = folder / "generator.safetensors"
    checkpoints.save(out, Generator(1.0, about["params"]["faces"]["size"]).state_dict(), about)
    return out


def ways(checkpoint: Path, compiled: bool) -> dict[str, LipSync]:
    made = {"eager": LipSync(checkpoint, "torch"), "channels_last": LipSync(checkpoint, "torch")}
    for weight in made["eager"].generator.parameters():
        weight.data = weight.data.contiguous(memory_format=torch.contiguous_format)
    run = made["eager"].run
    made["eager"].run = lambda faces, sound: run(faces.contiguous(), sound)
    if compiled:
        made["torch.compile"] = LipSync(checkpoint, "torch")
        made["torch.compile"].run = torch.compile(made["torch.compile"].generator, dynamic=True)
    for name in backends.BACKENDS[1:]:
        made[name] = LipSync(checkpoint, name, int8.onnx_file(checkpoint) if name in backends.INT8 else None)
    return made


def times(syncs: dict[str, LipSync], batch: int, rounds: int) -> dict[str, float]:
    """Median milliseconds per frame; all take turns."""
    rng = np.random.default_rng(0)
    size = next(iter(syncs.values())).size
    faces = rng.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    windows = rng.normal(size=(batch, 12, 35)).astype(np.float32)
    spent: dict[str, list[float]] = {name: [] for name in syncs}
    for turn in range(rounds + 1):
        for name, sync in syncs.items():
            started = time.perf_counter()
            sync.generate(faces[0], faces, windows)
            if turn:
                spent[name].append((time.perf_counter() - started) / batch * 1000)
    return {name: round(statistics.median(values), 2) for name, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="only compile, so that the measuring run need not")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-backends-") as name:
        _, about = checkpoints.load(paths.GENERATOR)
        demo = f"width {about['params']['model']['width']:g}"
        places = {demo: paths.GENERATOR, "width 1": full_width(Path(name))}
        result: dict = {
            "machine": machine(),
            "threads": torch.get_num_threads(),
            "checkpoint": lip_sync.describe(about),
        }
        result |= {"limits": auto_backend.LIMITS, "gate": {}, "ms_per_frame": {}}
        if not args.compile:
            for name, measured in auto_backend.results(paths.GENERATOR).items():
                result["gate"][name] = measured.figures | {"refused": measured.refused}
        for width, checkpoint in places.items():
            syncs = ways(checkpoint, compiled=width == demo)
            for batch in BATCHES:
                found = times(syncs, batch, 1 if args.compile else ROUNDS)
                result["ms_per_frame"][f"{width}, batch {batch}"] = found
            if not args.compile:
                RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
