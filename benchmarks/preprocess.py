"""Preprocessing compared with LipGAN's, clip by clip in one process, in processor time of one core.

    OMP_NUM_THREADS=1 python -m benchmarks.preprocess [--real ../shared/real] [--clips 6]
    writes benchmarks/results/preprocess.json

LipGAN's loop is reimplemented from its description: every frame is decoded by OpenCV, searched whole by dlib with one
upsampling, the largest box cut out, resized to 96 x 96 and written as a JPEG; the sound becomes a mel spectrogram in a
compressed npz. Ours is the work of stage `preprocess` on a clip: decoding, key frames, face mesh, crops, MFCCs, and the
members of a shard, once with the mesh of every frame, which LipGAN does not compute, and once with `faces.mesh: false`.

Clips: rendered ones (160 x 160), and real ones in two sizes, 160 x 160 and 1280 x 720. "lost" are frames in which
LipGAN finds a face and we do not; the overlap (IoU) is of our boxes with LipGAN's of the same frame; jitter is the mean
motion of the corners from frame to frame in widths of the box.
"""

import argparse
import dataclasses
import itertools
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import dlib
import librosa
import numpy as np
import torch

from benchmarks.machine import REPOSITORY, RESULTS, commit, machine
from model import faces, mfcc
from model.params import FaceParams, QualityParams
from tasks.core import config
from tasks.features import audio, face_mesh, face_track, lip_refiner
from tasks.media import decode, encode
from tasks.preprocess import examine, gates, pieces
from tasks.preprocess import stage as preprocess
from tasks.storage import shards
from tasks.synthetic import clip as synthetic
from tasks.synthetic.plan import plan

SIZE = 96


class Clock:
    """Processor seconds by step."""

    def __init__(self) -> None:
        self.s: dict[str, float] = defaultdict(float)

    def __call__(self, step: str, work: Callable, *args: object) -> object:
        began = time.process_time()
        out = work(*args)
        self.s[step] += time.process_time() - began
        return out


def lipgan(path: Path, out: Path, detector: object, clock: Clock) -> list[np.ndarray | None]:
    """Source: LipGAN's preprocess.py: the largest face of each frame, independent of the other frames."""
    video, boxes, number = cv2.VideoCapture(str(path)), [], 0
    while True:
        more, frame = clock("decode", video.read)
        if not more:
            break
        grey = clock("grey", cv2.cvtColor, frame, cv2.COLOR_BGR2GRAY)
        found = clock("detect", detector, grey, 1)
        if not found:
            boxes.append(None)
            continue
        box = max(found, key=lambda b: b.area())
        left, top, right, bottom = max(box.left(), 0), max(box.top(), 0), box.right() + 1, box.bottom() + 1
        boxes.append(np.array([box.left(), box.top(), right, bottom], float))
        face = clock("crop", cv2.resize, frame[top:bottom, left:right], (SIZE, SIZE))
        clock("write", cv2.imwrite, str(out / f"{number}.jpg"), face)
        number += 1
    sound = clock("sound", decode.decode_sound, path)
    mel = clock("features", lambda: librosa.feature.melspectrogram(y=sound, sr=16_000, n_fft=800, hop_length=200))
    clock("write", lambda: np.savez_compressed(out / "mels.npz", spec=mel))
    return boxes


def ours(path: Path, p: FaceParams, limits: QualityParams, tools: examine.Tools, clock: Clock) -> face_track.Track:
    """The steps of stage `preprocess` on a clip, timed separately; cropping converts to RGB what it needs."""
    film = pieces.Video(path, p.max_frames, limits)
    pictures = next(iter(film))
    clock("decode", lambda: sum(1 for _ in pictures))
    clock("figures", pictures.statistics.figures)
    followed = clock("detect and mesh", face_track.track, pictures, p, None, tools.refiner)
    [(faces_TSS3, mesh_T4683)] = clock("crop", examine.cut, pictures, [followed], p.size)
    sound = clock("sound", pieces.SoundReader(path, film).span, 0, None)
    num_frames = len(followed.found_T)
    clock("figures", gates.of_face, followed, mesh_T4683)
    clock("figures", gates.of_sound, sound, num_frames)
    fitted, _ = clock("offset", tools.sync.synchronised, decode.fit(sound, num_frames), mesh_T4683, limits)
    log_mel_MC = clock("features", audio.log_mel, fitted, num_frames)
    mfcc_FW = clock("features", audio.cepstra, log_mel_MC)
    mel_CM = clock("features", mfcc.levelled, log_mel_MC, float(np.mean(np.square(fitted))))
    made = shards.Clip(faces_TSS3, mfcc_FW, mel_CM, mesh_T4683, followed.found_T, followed.boxes_T4, None)
    clock("write", shards.encode, made, {}, p.storage, p.jpeg_quality)
    return followed


def jitter(boxes: list[np.ndarray | None]) -> list[float]:
    pairs = [(a, b) for a, b in itertools.pairwise(boxes) if a is not None and b is not None]
    return [float(np.abs(b - a).mean() / (a[2] - a[0])) for a, b in pairs]


def rendered(num_clips: int) -> Iterator[tuple[str, bytes]]:
    clean = [spec for spec in plan(0, "demo") if spec.case == "clean"]
    for spec in clean[:: max(1, len(clean) // num_clips)][:num_clips]:
        yield spec.key, synthetic.render(spec).mp4


def resized(path: Path, out: Path, width: int, height: int) -> Path:
    """For a square the central square of the frame; otherwise the whole picture, letter-boxed."""
    frames = []
    for frame in decode.frames(path):
        rows, columns = frame.shape[:2]
        side = (columns - rows) // 2
        if width == height:
            frames.append(cv2.resize(frame[:, side : side + rows], (width, height), interpolation=cv2.INTER_AREA))
            continue
        scaled = cv2.resize(frame, (round(columns * height / rows), height), interpolation=cv2.INTER_CUBIC)
        wide = np.zeros((height, width, 3), np.uint8)
        left = (width - scaled.shape[1]) // 2
        wide[:, left : left + scaled.shape[1]] = scaled
        frames.append(wide)
    encode.encode_video(out, frames, decode.fit(decode.decode_sound(path), len(frames)))
    return out


def measure(clips: list[Path], p: FaceParams, limits: QualityParams) -> dict[str, object]:
    theirs_s, ours_s, sparse_s, tools = Clock(), Clock(), Clock(), preprocess.tools()
    overlap, jitter_theirs, jitter_ours, lost, found, num_frames = [], [], [], 0, 0, 0
    detector = dlib.get_frontal_face_detector()
    with tempfile.TemporaryDirectory() as folder:
        for path in clips:
            boxes = lipgan(path, Path(folder), detector, theirs_s)
            followed = ours(path, p, limits, tools, ours_s)
            ours(path, dataclasses.replace(p, mesh=False), limits, tools, sparse_s)
            mine = [b if ok else None for b, ok in zip(followed.boxes_T4, followed.found_T, strict=True)]
            for a, b in zip(boxes, mine, strict=False):
                found += a is not None
                lost += a is not None and b is None
                if a is not None and b is not None:
                    overlap.append(float(faces.iou(a, b[None])[0]))
            jitter_theirs += jitter(boxes)
            jitter_ours += jitter(list(followed.boxes_T4))
            num_frames += len(mine)
    clocks = (theirs_s, ours_s, sparse_s)
    ms = [{step: round(1000 * s / num_frames, 3) for step, s in clock.s.items()} for clock in clocks]
    total = [sum(clock.s.values()) for clock in clocks]
    return {
        "clips": len(clips),
        "frames": num_frames,
        "lipgan_ms_per_frame": ms[0],
        "ours_ms_per_frame": ms[1],
        "mesh_false_ms_per_frame": ms[2],
        "lipgan_frames_per_s_per_core": round(num_frames / total[0], 1),
        "ours_frames_per_s_per_core": round(num_frames / total[1], 1),
        "ratio": round(total[0] / total[1], 2),
        "ratio_mesh_false": round(total[0] / total[2], 2),
        "iou_mean": round(float(np.mean(overlap)), 3),
        "iou_below_0.7": round(float(np.mean(np.array(overlap) < 0.7)), 3),
        "lost_frames": int(lost),
        "frames_with_a_face": int(found),
        "jitter_lipgan": round(float(np.mean(jitter_theirs)), 4),
        "jitter_ours": round(float(np.mean(jitter_ours)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=REPOSITORY.parent / "shared/real", help="folder of real clips")
    parser.add_argument("--clips", type=int, default=6, help="rendered clips; default: %(default)s")
    parser.add_argument("--large", type=int, default=4, help="real clips at 1280 x 720; default: %(default)s")
    args = parser.parse_args()
    cv2.setNumThreads(0)
    params = config.load(REPOSITORY / "params.yaml")
    p, limits = params.faces, params.quality
    librosa.feature.melspectrogram(y=np.zeros(16_000, np.float32), sr=16_000, n_fft=800, hop_length=200)
    lip_refiner.released()
    face_mesh.of_this_thread()
    torch.set_num_threads(1)
    face_track.detector()  # unpacked once a process, 0.7 s
    real = sorted(f for f in args.real.glob("*") if f.suffix in decode.VIDEO_ENDINGS)
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sets = {"rendered, 160 x 160": []}
        for number, (_, mp4) in enumerate(rendered(args.clips)):
            (folder / f"rendered{number}.mp4").write_bytes(mp4)
            sets["rendered, 160 x 160"].append(folder / f"rendered{number}.mp4")
        if real:
            sets["real, 160 x 160"] = [resized(f, folder / f"{f.stem}-160.mp4", 160, 160) for f in real]
            sets["real, 1280 x 720"] = [resized(f, folder / f"{f.stem}-720.mp4", 1280, 720) for f in real[: args.large]]
        columns = {
            "frames": "frames", "LipGAN f/s/core": "lipgan_frames_per_s_per_core", "ours": "ours_frames_per_s_per_core",
            "ratio": "ratio", "mesh: false": "ratio_mesh_false", "IoU": "iou_mean", "lost": "lost_frames",
            "jitter LipGAN": "jitter_lipgan", "jitter ours": "jitter_ours",
        }  # fmt: skip
        print(f"| clips | {' | '.join(columns)} |\n|{'-|' * (len(columns) + 1)}")
        for name, clips in sets.items():
            rows[name] = measure(clips, p, limits)
            print(f"| {name} | {' | '.join(str(rows[name][column]) for column in columns.values())} |", flush=True)
    result = {"commit": commit(), "machine": machine(), "load": os.getloadavg(), "sets": rows}
    (RESULTS / "preprocess.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
