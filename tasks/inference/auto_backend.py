"""The backend for dubbing: the fastest on this machine whose pictures pass a gate.

    python -m flows dub --backend auto ...

The gate dubs held-out clips (split val) with the backend and with torch and compares figures of the evaluation's panel:
how well the mouth opening follows the truth, how far it opens, how far the mouth's pixels are off. It runs once per
checkpoint and machine; the result is a readable file in the cache folder; delete it to measure again.
"""

import hashlib
import json
import platform
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from model import faces
from model.metrics import picture
from model.mfcc import NUM_MFCC
from model.timing import WINDOW
from tasks.core import files, paths
from tasks.core.device import choose_device
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.progress import say
from tasks.features.mesh_points import MeshPoints
from tasks.inference import backends, int8, mouth_score
from tasks.inference import lip_sync as inference
from tasks.inference.lip_sync import LipSync
from tasks.loading.clips import Clips

AUTO = "auto"
FASTEST_VERSION = 2  # raise it when the gate measures something else
SPLIT, NUM_CLIPS = "val", 8
MAX_LAG = 5  # frames
ROUNDS = 5  # the backends take turns, so that other load affects all; medians
LIMITS = {  # how much worse than torch's a figure may be
    "aperture_corr": 0.02,
    "amplitude_ratio": 0.05,
    "mouth_l1": 0.002,
}
HIGHER_IS_BETTER = {"aperture_corr": True, "amplitude_ratio": True, "mouth_l1": False}


@dataclass(frozen=True, slots=True)
class BackendResult:
    """Measurements of one backend.  refused: "" or the reason why it is not used, one line"""

    ms_per_frame: float | None
    figures: dict[str, float]
    refused: str


def lip_sync(checkpoint: Path, backend: str | None = None) -> LipSync:
    """The generator on a backend that passes the gate; None: on LIPGAN_BACKEND, unchecked.

    Errors: UserError for an unknown backend, and for int8 if the gate refuses it.
    """
    if backend is None:
        return LipSync(checkpoint)
    name = backends.checked(backend, (AUTO, *backends.BACKENDS), "--backend")
    if name == AUTO:
        name = fastest(checkpoint)
    elif name in backends.INT8 and (refused := results(checkpoint)[name].refused):
        raise UserError(f"--backend {name}: {refused}")
    return LipSync(checkpoint, name, int8.onnx_file(checkpoint) if name in backends.INT8 else None)


def fastest(checkpoint: Path) -> str:
    if choose_device().type != "cpu":
        say("dub: backend torch: the others are for the CPU")
        return "torch"
    times = {name: result.ms_per_frame for name, result in results(checkpoint).items() if not result.refused}
    name = min(times, key=lambda name: times[name] or 0.0)
    say(f"dub: backend {name}: the fastest here that passes, {times[name]:.1f} ms a frame (torch {times['torch']:.1f})")
    return name


def results(checkpoint: Path) -> dict[str, BackendResult]:
    """The result of every backend, from the cache or measured now."""
    kept = int8.folder() / f"{files.sha256_file(checkpoint)[:16]}-{machine_key()}.json"
    if kept.is_file():
        return {name: BackendResult(**result) for name, result in json.loads(kept.read_text())["backends"].items()}
    measured = measure(checkpoint)
    about = {"machine": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
    write_atomic(kept, json.dumps(about | {"backends": {n: asdict(r) for n, r in measured.items()}}, indent=2) + "\n")
    for name, result in measured.items():
        outcome = f"refused: {result.refused}" if result.refused else "passes"
        speed = f", {result.ms_per_frame:.1f} ms a frame" if result.ms_per_frame else ""
        say(f"dub: backend {name}: {outcome}{speed}")
    return measured


def machine_key() -> str:
    """A hash of what decides the speed, and of the libraries that decide the pictures."""
    cpu = Path("/proc/cpuinfo")
    models = (
        {line for line in cpu.read_text().splitlines() if line.startswith("model name")} if cpu.is_file() else set()
    )
    installed = {d.metadata["Name"].lower(): d.version for d in metadata.distributions() if d.metadata["Name"]}
    libraries = [f"{name} {installed.get(name)}" for name in ("torch", "openvino", "onnxruntime", "onnx")]
    about = [FASTEST_VERSION, platform.machine(), *sorted(models), torch.get_num_threads(), *libraries]
    about.append(files.sha256_file(paths.INDEX) if paths.INDEX.is_file() else "")
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


def measure(checkpoint: Path) -> dict[str, BackendResult]:
    syncs, refused = {}, {}
    for name in backends.BACKENDS:
        try:
            syncs[name] = LipSync(checkpoint, name, int8.onnx_file(checkpoint) if name in backends.INT8 else None)
        except UserError as error:
            refused[name] = BackendResult(None, {}, str(error))
    ms = speeds(syncs)
    if not paths.INDEX.is_file():
        unknown = "there are no held-out clips here to check its pictures on"
        return refused | {n: BackendResult(ms[n], {}, unknown if n in backends.ROUNDED else "") for n in syncs}
    by_name = {name: figures(sync) for name, sync in syncs.items()}
    return refused | {n: BackendResult(ms[n], by_name[n], worse(by_name[n], by_name["torch"])) for n in syncs}


def speeds(syncs: Mapping[str, LipSync], num_frames: int = inference.BATCH) -> dict[str, float]:
    """Milliseconds per frame in batches of dubbing's size, medians over rounds in which all take turns."""
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in syncs}
    for turn in range(ROUNDS + 1):  # the first round warms up
        for name, sync in syncs.items():
            faces_BSS3 = rng.integers(0, 256, (num_frames, sync.size, sync.size, 3), dtype=np.uint8)
            windows_BFW = rng.normal(size=(num_frames, NUM_MFCC, WINDOW)).astype(np.float32)
            started_s = time.perf_counter()
            sync.generate(faces_BSS3[0], faces_BSS3, windows_BFW)
            if turn:
                times[name].append((time.perf_counter() - started_s) / num_frames * 1000)
    return {name: round(statistics.median(values), 3) for name, values in times.items()}


def figures(sync: LipSync) -> dict[str, float]:
    """Means over held-out clips of the gate's figures, measured as in the evaluation's panel."""
    rows = list(by_clip(sync))
    return {name: round(float(np.mean([row[name] for row in rows])), 5) for name in LIMITS}


def by_clip(sync: LipSync) -> Iterator[dict[str, float]]:
    clips, predictor = Clips(paths.INDEX, paths.SHARDS, SPLIT), MeshPoints()
    for number in range(min(NUM_CLIPS, len(clips))):
        clip = clips[number]
        filmed = mouth_score.filmed_mouth(clip, predictor)
        output_TSS3 = mouth_score.generate_clip(sync, clip, clip.mfcc_FW)
        score = mouth_score.score(output_TSS3, filmed, predictor, MAX_LAG)
        mouth_T4 = faces.mouth_boxes(filmed.landmarks_T682, clip.faces_TSS3.shape[1])
        yield {
            "aperture_corr": score.corr,
            "amplitude_ratio": score.amplitude_ratio,
            "mouth_l1": picture.mouth_l1(output_TSS3, clip.faces_TSS3, mouth_T4),
        }


def worse(backend: Mapping[str, float], reference: Mapping[str, float]) -> str:
    """The first figure that is too much worse than torch's, as a line; "" if there is none."""
    for name, limit in LIMITS.items():
        excess = reference[name] - backend[name] if HIGHER_IS_BETTER[name] else backend[name] - reference[name]
        if not excess <= limit:  # nan is refused too
            figures = f"{name} on held-out clips is {backend[name]:.3f}, torch's {reference[name]:.3f}"
            return f"{figures}; it may be worse by {limit:g}"
    return ""
