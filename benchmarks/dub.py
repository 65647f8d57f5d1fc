"""Dubbing end to end at 720p on this machine, compared with the structure of LipGAN's and Wav2Lip's inference.

    python -m benchmarks.dub                       30 s of 720p, both ways, some backends: benchmarks/results/dub.json
    python -m benchmarks.dub --seconds 4 --small   a trial
    python -m benchmarks.dub --memory 600          only: peak memory of dubbing 600 s of 1080p (under 1.5 GB?)
    python -m benchmarks.dub --offset 10           only: how late the sound of 10 dubbed clips is, by the sync expert

The baseline has that structure with our generator, detector and encoder: the whole video in memory as RGB, dlib on the
whole of every frame as LipGAN does, all crops, then generation, then paste by a rectangle, then encoding. It gets the
first BASELINE_S seconds: its time grows with the frames. Our breakdown is in CPU seconds of each thread, since
decoding, generating and encoding overlap; indented steps are part of the step above.
"""

import argparse
import functools
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import long_video
from benchmarks.machine import RESULTS, machine
from model import faces, samples
from tasks.core import config, paths
from tasks.dubbing import dub, look, output, watch
from tasks.dubbing.lipgan_mouth import LipGanMouths
from tasks.dubbing.options import Options
from tasks.features import audio, crop, face_track, paste
from tasks.inference import lip_sync
from tasks.inference.lip_sync import LipSync
from tasks.inference.sync_meter import SyncMeter
from tasks.media import decode, encode, native_rate, segments
from tasks.media.wav import write_wav
from tasks.provenance import c2pa_mark
from tasks.storage import index
from tasks.studies.demo import raw_video

RESULT = RESULTS / "dub.json"
BASELINE_S = 12.0
MAX_OFFSET = 7  # frames
BACKENDS = ("torch", "openvino", "openvino-bf16", "openvino-int8")
PARTS = {  # what is timed of ours: (where it is called from, its name) -> what the table calls it
    (dub, "find_faces"): "pass 1: find faces",
    (look._Search, "searched"): ". search whole frames",
    (look._Search, "near"): ". search near",
    (watch, "measured"): ". points, in a thread of their own",
    (LipGanMouths, "change"): "pass 2: mouths",
    (LipSync, "generate"): ". generate",
    (paste, "over"): ". paste",
    (segments, "write_segment"): "encode, and judge",
    (output.Output, "measure"): ". judge by the expert",
    (output.Output, "join"): "join with the sound",
    (c2pa_mark, "mark"): "sign",
}
SIZES = {720: (1280, 720), 1080: (1920, 1080), 360: (640, 360)}


def film_of(rows: int, seconds: float, out: Path) -> None:
    """A test speaker, played forwards and backwards, two thirds of the picture high, on a picture of this size."""
    row = index.kept(index.read(paths.INDEX), "test")[0]
    clip = out.with_suffix(".clip.mp4")
    clip.write_bytes(raw_video(row["clip"]))
    there = list(decode.frames(clip))
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

    encode.encode_video(out, pictures(), np.zeros(round(seconds * 16000), np.float32), crf=20, preset="ultrafast")
    clip.unlink()


def baseline(video: Path, sound: Path, out: Path) -> dict[str, float]:
    """Seconds of each step."""
    spent, started = {}, time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        spent[name] = time.perf_counter() - started
        started = time.perf_counter()

    sync = LipSync(paths.GENERATOR)
    frames = list(decode.frames(video))
    lap("decode")
    boxes = []
    for frame in frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        found = face_track.scan(grey, 1)
        boxes.append(found[0] if len(found) else boxes[-1])
    lap("detect")
    crops = np.stack(
        [crop.crop(f, b, sync.size) for f, b in zip(frames, faces.crop_boxes(np.array(boxes)), strict=True)]
    )
    mfcc = audio.mfcc(decode.decode_sound(sound), len(frames))
    lap("crop and sound")
    made = sync.generate(crops[0], crops, samples.windows(mfcc, np.arange(len(frames))))
    lap("generate")
    for frame, face, box in zip(frames, made, faces.crop_boxes(np.array(boxes)), strict=True):
        left, top, right, bottom = np.clip(box, 0, None).astype(int)
        place = frame[top:bottom, left:right]
        place[...] = cv2.resize(face, place.shape[1::-1])
    lap("paste")
    encode.encode_video(out, frames, decode.decode_sound(sound))
    lap("encode")
    return spent


def offset(num_clips: int, folder: Path) -> dict:
    """Each test clip dubbed with the next one's words; the offset at which pictures and sound of the files are nearest.

    Above 0: the sound comes late, in frames of 25 a second.
    """
    rows = index.kept(index.read(paths.INDEX), "test")[:num_clips]
    p, meter, curves = config.load(paths.PARAMS).faces, SyncMeter(), []
    for number, row in enumerate(rows):
        face, sound, out = (folder / name for name in ("face.mp4", "sound.mp4", f"{number}.mp4"))
        face.write_bytes(raw_video(row["clip"]))
        sound.write_bytes(raw_video(rows[(number + 1) % len(rows)]["clip"]))
        dub.run(str(face), str(sound), str(out), options=Options(generator="lipgan", length="sound"))
        frames = list(decode.frames(out))
        boxes = faces.crop_boxes(face_track.track(frames, p).boxes_T4)
        crops = np.stack([crop.crop(frame, box, p.size) for frame, box in zip(frames, boxes, strict=True)])
        mfcc = audio.mfcc(decode.fit(decode.decode_sound(out), len(frames)), len(frames))
        curves.append(np.nanmean(meter.distances(crops, mfcc, MAX_OFFSET), axis=0))
    offsets = range(-MAX_OFFSET, MAX_OFFSET + 1)
    curve = dict(zip(offsets, np.mean(curves, axis=0).round(3).tolist(), strict=True))
    each = [int(np.argmin(one)) - MAX_OFFSET for one in curves]
    return {"clips": len(rows), "offset_frames": min(curve, key=lambda k: curve[k]), "of_each": each, "distance": curve}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(what: str, video: Path, sound: Path, out: Path, backend: str = "torch") -> dict:
    """One way of dubbing in a separate process, to measure its own peak memory."""
    command = [sys.executable, "-m", "benchmarks.dub", "--only", what, str(video), str(sound), str(out), backend]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def timed(
    spent: dict[str, float],
    parts: dict[tuple[Any, str], str] = PARTS,
    clock: Callable[[], float] = time.thread_time,
) -> None:
    """Wrap every step so that it adds its seconds to `spent`, by default the CPU seconds of its thread."""
    one = threading.Lock()  # some steps run in several threads

    def wrapped(work, name: str):
        @functools.wraps(work)
        def measured(*args, **kwargs):
            started = clock()
            try:
                return work(*args, **kwargs)
            finally:
                with one:
                    spent[name] = spent.get(name, 0.0) + clock() - started

        return measured

    for (owner, attribute), name in parts.items():
        setattr(owner, attribute, wrapped(getattr(owner, attribute), name))


def only(what: str, video: Path, sound: Path, out: Path, backend: str) -> None:
    steps: dict[str, float] = {}
    if what == "ours":
        timed(steps)
    started, cpu = time.perf_counter(), time.process_time()
    if what == "ours":
        dub.run(str(video), str(sound), str(out), options=Options(generator="lipgan", length="video", backend=backend))
    else:
        steps = baseline(video, sound, out)
    wall_s = time.perf_counter() - started
    steps = {name: round(steps[name], 2) for name in [*PARTS.values(), *steps] if name in steps}
    about = {"wall_s": round(wall_s, 2), "cpu_s": round(time.process_time() - cpu, 2), "peak_mb": round(peak_mb())}
    print(json.dumps(about | {"steps_s": steps}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--small", action="store_true", help="360p, one backend")
    parser.add_argument("--memory", type=float, help="seconds of 1080p to dub, for peak memory only")
    parser.add_argument("--offset", type=int, help="clips to dub, for the offset of sound and picture only")
    parser.add_argument("--only", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        only(args.only[0], *(Path(name) for name in args.only[1:4]), args.only[4])
        return
    with tempfile.TemporaryDirectory(prefix="bench-dub-") as name:
        folder = Path(name)
        if args.offset:
            keep({"offset": offset(args.offset, folder)})
            return
        seconds = args.memory or args.seconds
        video, sound = folder / "talk.mp4", folder / "speech.wav"
        if args.memory:
            film_of(1080, long_video.LOOP_S, folder / "loop.mp4")
            long_video.repeat(folder / "loop.mp4", video, round(seconds / long_video.LOOP_S))
        else:
            film_of(360 if args.small else 720, seconds, video)
        rng = np.random.default_rng(1)
        write_wav(sound, (rng.normal(0, 0.1, round(seconds * 16000))).astype(np.float32))
        num_frames = sum(1 for _ in native_rate.pictures(video))
        sync = LipSync(paths.GENERATOR, "torch")
        result: dict = {"machine": machine(), "checkpoint": lip_sync.describe(sync.about)}
        if args.memory:
            result = {
                "memory": {"frames": num_frames, "size": "1080p"} | in_process("ours", video, sound, folder / "a.mp4")
            }
        else:
            rows = 360 if args.small else 720
            first = folder / "first.mp4"
            film_of(rows, min(seconds, BASELINE_S), first)
            slow = in_process("baseline", first, sound, folder / "b.mp4")
            slow["frames"] = sum(1 for _ in native_rate.pictures(first))
            slow["frames_per_s"] = round(slow["frames"] / slow["wall_s"], 2)
            result |= {"size": f"{rows}p", "frames": num_frames, "baseline": slow}
            for backend in BACKENDS[:1] if args.small else BACKENDS:
                ours = in_process("ours", video, sound, folder / f"{backend}.mp4", backend)
                ours["frames_per_s"] = round(num_frames / ours["wall_s"], 1)
                ours["times_faster"] = round(ours["frames_per_s"] / slow["frames_per_s"], 1)
                result[backend] = ours
    keep(result, not args.small)


def keep(result: dict, written: bool = True) -> None:
    """Print the result and merge it into the file with those of other runs."""
    print(json.dumps(result, indent=2))
    if written:
        kept = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
        RESULT.write_text(json.dumps({**kept, **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
