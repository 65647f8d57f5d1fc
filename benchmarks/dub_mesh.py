"""Dubbing with the mesh generator, end to end on this machine: frames/s, CPU and memory, at 720p and 1080p.

    python -m benchmarks.dub_mesh talk.mp4                 12 s at both sizes: benchmarks/results/dub_mesh.json
    python -m benchmarks.dub_mesh talk.mp4 --seconds 4     a trial
    python -m benchmarks.dub_mesh --search 600             only: choosing mouths for a minute from 600 s of footage

The face of the video is enlarged so that the picture fills the frame's height, played forwards and backwards and dubbed
with the video's own sound. Every size runs in a separate process; both take about a minute. `cores_used` is CPU time by
wall time: how well the threads overlap. `passes_wall_ms` is what each pass takes. Steps are CPU ms of the thread that
calls them; the decoder's threads are in `cpu_ms` alone. Indented steps are part of the step above. All ms are a frame.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.dub import SIZES, peak_mb, timed
from benchmarks.machine import RESULTS, machine
from model import mouth_choice
from tasks.compositor import compose, footage, join, library, mouth_pictures, warp
from tasks.dubbing import dub, look, mesh_mouth, output, watch
from tasks.dubbing.options import Options
from tasks.features import face_mesh, lip_refiner
from tasks.media import decode, encode, segments
from tasks.media.wav import write_wav
from tasks.provenance import c2pa_mark

RESULT = RESULTS / "dub_mesh.json"
PARTS = {
    (dub, "find_faces"): "pass 1: find faces",
    (look._Search, "searched"): ". search whole frames",
    (watch, "measured"): ". meshes and lower faces, in a thread of their own",
    (face_mesh.Tracker, "step"): ".. mesh",
    (lip_refiner.LipRefiner, "__call__"): ".. lips",
    (mouth_pictures, "written"): ".. store mouths",
    (mesh_mouth.Person, "learn"): "pass 2: learn mouths",
    (library, "build"): ". library",
    (mesh_mouth.Person, "mouths"): "choose mouths",
    (compose, "compose"): "pass 3: mouths, in threads of their own",
    (footage.Footage, "heads"): ". heads (also of pass 2)",
    (library.Library, "picture"): ". read mouths",
    (warp, "maps"): ". maps",
    (warp, "moved"): ". move",
    (join, "joined"): ". join",
    (compose, "_patched"): ". put into the frame",
    (segments, "write_segment"): "encode, and what waits for it",
    (output.Output, "join"): "join with the sound",
    (c2pa_mark, "mark"): "sign",
}


PASSES = {
    (dub, "find_faces"): "1: find faces",
    (mesh_mouth.Person, "learn"): "2: learn mouths",
    (output.Output, "render"): "3: make mouths, encode",
}


def film_of(clip: Path, rows: int, seconds: float, out: Path) -> None:
    there = list(decode.frames(clip))
    there += there[::-1]
    width, height = SIZES[rows]
    side = there[0].shape[1] * height // there[0].shape[0] // 2 * 2
    left = max(0, (width - side) // 2)

    def pictures() -> Iterator[np.ndarray]:
        for number in range(round(seconds * 25)):
            picture = np.full((height, width, 3), 90, np.uint8)
            scaled = cv2.resize(there[number % len(there)], (side, height), interpolation=cv2.INTER_CUBIC)
            picture[:, left : left + side] = scaled[:, :width]
            yield picture

    encode.encode_video(out, pictures(), None, crf=20, preset="ultrafast")


def only(video: Path, sound: Path, out: Path) -> None:
    steps, passes = dict[str, float](), dict[str, float]()
    timed(steps, PARTS)
    timed(passes, PASSES, time.perf_counter)
    started, cpu = time.perf_counter(), time.process_time()
    dub.run(str(video), str(sound), str(out), options=Options(generator="mesh", length="video"))
    wall_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    num = json.loads(out.with_suffix(".json").read_text())["frames"]
    about = {
        "frames": num, "frames_per_s": round(num / wall_s, 1), "cpu_ms": round(1000 * cpu_s / num, 1),
        "cores_used": round(cpu_s / wall_s, 2), "peak_mb": round(peak_mb()),
        "passes_wall_ms": {name: round(1000 * took_s / num, 1) for name, took_s in passes.items()},
        "steps_cpu_ms": {name: round(1000 * steps[name] / num, 2) for name in PARTS.values() if name in steps},
    }  # fmt: skip
    print(json.dumps(about))


def search(seconds: float) -> dict[str, float]:
    """Choosing mouths for a minute of sound from footage of this length; random walks stand for the motion."""
    rng = np.random.default_rng(0)
    num_have, num_want = round(seconds * 25), 60 * 25
    walks = np.cumsum(rng.normal(0, 1, (num_have + num_want, 93)), axis=0).astype(np.float32)
    after = np.append(np.arange(1, num_have), -1)
    started = time.perf_counter()
    visible = mouth_choice.visible(walks[:num_have], walks[:num_have, :6])
    mouth_choice.choose(walks[:num_have], walks[num_have:], after, visible)
    return {"library_s": seconds, "mouths": num_have, "wall_s": round(time.perf_counter() - started, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("face", nargs="?", type=Path, help="a video of one person")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--search", type=float, metavar="SECONDS")
    parser.add_argument("--only", nargs=3, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        return only(*args.only)
    result = {"machine": machine()}
    if args.search:
        result |= {"search": search(args.search)}
    else:
        if not args.face:
            parser.error("a video of one person is needed")
        with tempfile.TemporaryDirectory(prefix="bench-dub-") as name:
            folder = Path(name)
            write_wav(folder / "a.wav", np.tile(decode.decode_sound(args.face), 30)[: round(args.seconds * 16000)])
            for rows in (720, 1080):
                film_of(args.face, rows, args.seconds, folder / f"{rows}.mp4")
                files = [str(folder / file) for file in (f"{rows}.mp4", "a.wav", f"out{rows}.mp4")]
                command = [sys.executable, "-m", "benchmarks.dub_mesh", "--only", *files]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                result[f"{rows}p"] = json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(result, indent=2))
    kept = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    RESULT.write_text(json.dumps({**kept, **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
