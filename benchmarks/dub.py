"""Dubbing end to end at 720p on this machine, beside the structure of LipGAN's and Wav2Lip's inference, in one run.

    python -m benchmarks.dub                       30 s of 720p, both ways, every backend: benchmarks/results/dub.json
    python -m benchmarks.dub --seconds 4 --small   a trial
    python -m benchmarks.dub --memory 600          only: peak memory of dubbing 600 s of 1080p (under 1.5 GB?)

The baseline is that structure and no more, with our generator, detector and encoder: the whole video in memory as RGB,
dlib on the whole of every frame as LipGAN does, all crops, then generation, then paste by a rectangle, then encoding.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from model import faces
from tasks import dub, face_track, features, film, index, inference, media, paths
from tasks.demo import raw_video, write_wav
from tasks.inference import LipSync

RESULT = Path("benchmarks/results/dub.json")
SIZES = {720: (1280, 720), 1080: (1920, 1080), 360: (640, 360)}


def film_of(rows: int, seconds: float, out: Path) -> None:
    """A speaker of the test split, going back and forth, a third of the picture high, on a picture of this size."""
    row = index.kept(index.read(paths.INDEX), "test")[0]
    clip = out.with_suffix(".clip.mp4")
    clip.write_bytes(raw_video(row["clip"]))
    there = list(media.frames(clip))
    there += there[::-1]
    width, height = SIZES[rows]
    side = height * 2 // 3
    rng = np.random.default_rng(0)
    ground = cv2.resize(
        rng.integers(60, 190, (9, 16, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    scaled = [cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC) for frame in there]

    def pictures():
        for number in range(round(seconds * 25)):
            picture = ground.copy()
            picture[height - side :, (width - side) // 2 : (width + side) // 2] = scaled[number % len(scaled)]
            yield picture

    media.encode_video(out, pictures(), np.zeros(round(seconds * 16000), np.float32), crf=20, preset="ultrafast")
    clip.unlink()


def baseline(video: Path, sound: Path, out: Path) -> dict[str, float]:
    """Seconds of each step."""
    spent, started = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        spent[name] = time.perf_counter() - started
        started = time.perf_counter()

    sync = LipSync(paths.GENERATOR)
    frames = list(media.frames(video))
    lap("decode")
    boxes = []
    for frame in frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        found = face_track.scan(grey, 1)
        boxes.append(found[0] if len(found) else boxes[-1])
    lap("detect")
    crops = np.stack(
        [features.crop(f, b, sync.size) for f, b in zip(frames, faces.crop_boxes(np.array(boxes)), strict=True)]
    )
    mfcc = features.mfcc(media.decode_sound(sound), len(frames))
    lap("crop and sound")
    made = sync.generate(crops[0], crops, inference.windows(mfcc, np.arange(len(frames))))
    lap("generate")
    for frame, face, box in zip(frames, made, faces.crop_boxes(np.array(boxes)), strict=True):
        left, top, right, bottom = np.clip(box, 0, None).astype(int)
        place = frame[top:bottom, left:right]
        place[...] = cv2.resize(face, place.shape[1::-1])
    lap("paste")
    media.encode_video(out, frames, media.decode_sound(sound))
    lap("encode")
    return spent


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(what: str, video: Path, sound: Path, out: Path, backend: str = "torch") -> dict:
    """One way of dubbing in a process of its own, so that peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.dub", "--only", what, str(video), str(sound), str(out)]
    env = {**os.environ, "LIPGAN_BACKEND": backend}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return json.loads(done.stdout.splitlines()[-1])


def only(what: str, video: Path, sound: Path, out: Path) -> None:
    started = time.perf_counter()
    steps = {} if what == "ours" else baseline(video, sound, out)
    if what == "ours":
        dub.run(str(video), str(sound), str(out), options=dub.Options(length="video"))
    wall_s = time.perf_counter() - started
    print(json.dumps({"wall_s": round(wall_s, 2), "peak_mb": round(peak_mb()), "steps_s": steps}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--small", action="store_true", help="360p, one backend")
    parser.add_argument("--memory", type=float, help="seconds of 1080p to dub, for peak memory only")
    parser.add_argument("--only", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        only(args.only[0], *(Path(name) for name in args.only[1:]))
        return
    with tempfile.TemporaryDirectory(prefix="bench-dub-") as name:
        folder = Path(name)
        seconds = args.memory or args.seconds
        video, sound = folder / "talk.mp4", folder / "speech.wav"
        film_of(1080 if args.memory else 360 if args.small else 720, seconds, video)
        rng = np.random.default_rng(1)
        write_wav(sound, (rng.normal(0, 0.1, round(seconds * 16000))).astype(np.float32))
        num_frames = sum(1 for _ in film.pictures(video))
        result: dict = {"machine": f"{os.cpu_count()} cores, {platform.machine()}", "frames": num_frames}
        if args.memory:
            result["memory"] = in_process("ours", video, sound, folder / "a.mp4")
        else:
            result["baseline"] = in_process("baseline", video, sound, folder / "b.mp4")
            for backend in ("torch",) if args.small else ("torch", "openvino", "openvino-bf16", "onnx"):
                ours = in_process("ours", video, sound, folder / f"{backend}.mp4", backend)
                ours["frames_per_s"] = round(num_frames / ours["wall_s"], 1)
                ours["times_faster"] = round(result["baseline"]["wall_s"] / ours["wall_s"], 2)
                result[backend] = ours
            result["baseline"]["frames_per_s"] = round(num_frames / result["baseline"]["wall_s"], 1)
    print(json.dumps(result, indent=2))
    if not args.small:
        kept = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
        RESULT.write_text(json.dumps({**kept, **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
