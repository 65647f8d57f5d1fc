"""Live dubbing on this machine: work per frame and delay from sound to picture, at demo width and full width.

    python -m benchmarks.live            8 s of sound in real time, 720p, each width and backend
    python -m benchmarks.live --small    4 s, demo width, torch: a trial
    python -m benchmarks.live --mesh talk.mp4    only: the mesh generator, with this video and its sound

The generator has random weights (work does not depend on them, and the gate of int8 is skipped); picture, landmarks and
paste are real. Each combination runs in a separate process; the sound arrives in chunks of 20 ms as from a microphone.
"fps" is the rate that the work alone allows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.dub_mesh import film_of
from benchmarks.machine import RESULTS, machine
from model.generator import Generator
from tasks.core import paths
from tasks.dubbing.options import Options
from tasks.features.mesh_points import MeshPoints
from tasks.inference import backends, checkpoints, int8, lip_sync
from tasks.inference.lip_sync import LipSync
from tasks.live import file as live_file
from tasks.live import speakers
from tasks.live.stream import LOOK_AHEAD_S, LiveStream, Portrait, chunks
from tasks.media import decode
from tasks.media.wav import write_wav
from tasks.storage import index
from tasks.studies.demo import raw_video

RESULT = RESULTS / "live.json"
WAYS = [(width, backend) for backend in backends.BACKENDS for width in (0.125, 1.0)]


def picture_of(rows: int, out: Path) -> None:
    """A test speaker, two thirds of the picture high, on a picture of this size."""
    clip = out.with_suffix(".mp4")
    clip.write_bytes(raw_video(index.kept(index.read(paths.INDEX), "test")[0]["clip"]))
    face = next(decode.frames(clip))
    width, side = rows * 16 // 9, rows * 2 // 3
    ground = np.full((rows, width, 3), 150, np.uint8)
    left = (width - side) // 2
    ground[rows - side :, left : left + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(out), ground[..., ::-1])


def checkpoint_of(width: float, out: Path) -> None:
    about = json.loads(paths.GENERATOR.with_suffix(".json").read_text())
    about["params"]["model"]["width"] = width
    torch.manual_seed(0)
    checkpoints.save(out, Generator(width, about["params"]["faces"]["size"]).state_dict(), about)


def only(face: Path, sound: Path, checkpoint: Path, out: Path, backend: str) -> None:
    """First the work alone, then the stream with its encoder in real time."""
    sync = LipSync(checkpoint, backend, int8.onnx_file(checkpoint) if backend in backends.INT8 else None)
    p = lip_sync.face_params(sync.about, checkpoint)
    portrait = Portrait(decode.read_image(face), sync, p, MeshPoints())
    window_FW = np.zeros((12, 35), np.float32)
    for _ in range(5):
        portrait.frame(0, window_FW)
    took_ms = []
    for _ in range(100):
        started = time.perf_counter()
        portrait.frame(0, window_FW)
        took_ms.append(1000 * (time.perf_counter() - started))
    alone_ms = float(np.median(took_ms))
    with out.open("w+b") as file:
        tally = live_file.stream(portrait, str(sound), file, "mp4", True, {})
    quantiles = {
        f"delay_ms_p{share}": round(1000 * float(np.quantile(tally.delay_s, share / 100))) for share in (50, 95)
    }
    print(
        json.dumps(
            {"work_ms_p50": round(alone_ms, 1), "work_ms_p95": round(float(np.quantile(took_ms, 0.95)), 1),
             "fps": round(1000 / float(np.mean(took_ms)), 1), "frames": tally.num_frames,
             "repeated": tally.num_repeated, **quantiles}
        )
    )  # fmt: skip


def mesh(face: Path, sound: Path, out: Path) -> dict[str, float]:
    """First the work alone, listening included, then the stream with its encoder in real time."""
    with speakers.opened(face, None, Options(generator="mesh")) as (speaker, _):
        stream, took_ms, cpu_ms = LiveStream(speaker), list[float](), list[float]()
        for chunk in chunks(decode.mono(sound)):
            started_s = time.process_time()
            frames = list(stream.push(chunk))  # one, or none
            took_ms += [1000 * frame.work_s for frame in frames]
            cpu_ms += [1000 * (time.process_time() - started_s) / len(frames) for _ in frames]
        with out.open("w+b") as file:
            tally = live_file.stream(speaker, str(sound), file, "mp4", True, {})
    quantiles = {
        f"delay_ms_p{share}": round(1000 * float(np.quantile(tally.delay_s, share / 100))) for share in (50, 95)
    }
    return {
        "work_ms_p50": round(float(np.median(took_ms)), 1), "work_ms_p95": round(float(np.quantile(took_ms, 0.95)), 1),
        "cpu_ms_p50": round(float(np.median(cpu_ms)), 1), "cpu_ms_p95": round(float(np.quantile(cpu_ms, 0.95)), 1),
        "fps": round(1000 / float(np.mean(took_ms)), 1),
        "frames": tally.num_frames, "repeated": tally.num_repeated, **quantiles,
        "load_1_minute": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def only_mesh(face: Path, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-live-") as name:
        folder = Path(name)
        film_of(face, 720, seconds, folder / "face.mp4")
        write_wav(folder / "a.wav", np.tile(decode.decode_sound(face), 30)[: round(seconds * 16000)])
        measured = mesh(folder / "face.mp4", folder / "a.wav", folder / "out.mp4")
    print(json.dumps(measured))
    kept = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    RESULT.write_text(json.dumps({**kept, "mesh": {"machine": machine(), **measured}}, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--mesh", type=Path, metavar="VIDEO")
    parser.add_argument("--only", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        only(*map(Path, args.only[:4]), args.only[4])
        return
    if args.mesh:
        only_mesh(args.mesh, args.seconds)
        return
    seconds, ways = (4, WAYS[:1]) if args.small else (args.seconds, WAYS)
    result = {"machine": machine(), "threads": torch.get_num_threads(), "look_ahead_ms": 1000 * LOOK_AHEAD_S}
    with tempfile.TemporaryDirectory(prefix="bench-live-") as name:
        folder = Path(name)
        picture_of(720, folder / "face.png")
        write_wav(folder / "a.wav", np.random.default_rng(0).normal(0, 0.1, round(seconds * 16000)).astype(np.float32))
        for width, backend in ways:
            checkpoint_of(width, folder / "generator.safetensors")
            given = [str(folder / file) for file in ("face.png", "a.wav", "generator.safetensors", "out.mp4")]
            command = [sys.executable, "-m", "benchmarks.live", "--only", *given, backend]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            result[f"width {width:g}, {backend}"] = json.loads(done.stdout.splitlines()[-1])
            print(f"width {width:g}, {backend}: {done.stdout.splitlines()[-1]}", flush=True)
            if not args.small:
                RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
