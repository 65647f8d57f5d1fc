"""Training samples per second and core: our loader and LipGAN's data generator, in turns in one process.

    OMP_NUM_THREADS=1 python -m benchmarks.loader [--seconds 10]      needs data/; writes benchmarks/results/loader.json

LipGAN's generator is reimplemented from its description: for every sample it lists the JPEGs of a clip's folder, reads
two of them, loads the clip's mel spectrogram from a compressed npz, and makes float64 arrays. Ours is
tasks/loading/batches.py on the same frames, stored as JPEGs and raw: with nothing decoded at the start of every epoch,
as for a corpus larger than memory, and with all clips decoded before. Processor time of the whole process; all files
are in the page cache. "Long" are the same clips repeated ten times: of a long clip no more is decoded than of a short
one. "As trained" adds what a training adds: runs of frames and augmentation; "streamed" does that from shards read from
start to end by webdataset (tasks/loading/streaming.py), each clip hashed.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.machine import RESULTS, commit, machine
from model import augment
from model.augment import Change
from model.params import TrainParams
from tasks.core import config, paths
from tasks.loading import batches as loader
from tasks.loading.clips import Clips
from tasks.loading.streaming import Stream
from tasks.storage import index, shards

SIZE, BATCH, MEL_STEP = 96, 64, 27
LONG = 10
ROUNDS = 4


def unpack(clips: Clips, folder: Path) -> list[Path]:
    """The corpus in LipGAN's layout: a folder per clip, a JPEG per frame, mels.npz."""
    folders = []
    for number in range(len(clips)):
        clip, place = clips[number], folder / f"{number:05d}"
        place.mkdir()
        for t, face_SS3 in enumerate(clip.faces_TSS3):
            cv2.imwrite(str(place / f"{t}.jpg"), face_SS3[..., ::-1])
        rows = len(clip.faces_TSS3) * 80 // 25 + MEL_STEP
        mel = np.random.default_rng(number).normal(size=(80, rows))
        np.savez_compressed(place / "mels.npz", spec=mel)
        folders.append(place)
    return folders


def store(clips: Clips, folder: Path, storage: str, times: int, quality: int) -> tuple[Callable[[], Clips], float]:
    """The same clips, each `times` times in a row, in a shard of their own; how to open them, and bytes a frame."""
    rows, place = [], folder / f"{storage}{times}"
    place.mkdir()

    def samples() -> Iterator[tuple[str, dict[str, bytes]]]:
        for number, row in enumerate(clips.rows):
            clip = clips[number]
            long = shards.Clip(
                np.concatenate([clip.faces_TSS3] * times),
                np.concatenate([clip.mfcc_FW] * times, axis=1),
                np.concatenate([clip.mel_CM] * times),
                np.concatenate([clip.mesh_T4683] * times),
                np.concatenate([clip.found_T] * times),
                np.concatenate([clip.boxes_T4] * times),
                None,
            )
            bits = {name: np.packbits(np.concatenate([of[number]] * times)).tobytes() for name, of in columns.items()}
            rows.append(row | bits | {"shard": "train.tar", "num_frames": row["num_frames"] * times})
            yield row["clip"], shards.encode(long, {}, storage, quality)

    columns = {"found": clips.found(), "closed": clips.closed()}
    spans = shards.write(place / "train.tar", samples())
    for row in rows:
        span = spans[row["clip"]]
        row |= {"offset": span.offset, "size": span.size, "member_sha256": span.sha256}
    index.write(place / "index.parquet", rows, index.INDEX_SCHEMA)
    num_bytes = (place / "train.tar").stat().st_size / sum(row["num_frames"] for row in rows)
    return lambda: Clips(place / "index.parquet", place, "train"), round(num_bytes)


def lipgan(folders: list[Path]) -> Iterator[int]:
    """Source: LipGAN's datagen; batches of faces (N, S, S, 6) and mels, as float64."""
    rng = np.random.default_rng(0)
    while True:
        faces_N, mels_N = [], []
        while len(faces_N) < BATCH:
            place = folders[rng.integers(len(folders))]
            pictures = sorted(place.glob("*.jpg"))
            frame, other = (pictures[rng.integers(len(pictures))] for _ in range(2))
            target = cv2.resize(cv2.imread(str(frame)), (SIZE, SIZE))
            identity = cv2.resize(cv2.imread(str(other)), (SIZE, SIZE))
            spec = np.load(place / "mels.npz")["spec"]
            start = int(80.0 * int(frame.stem) / 25)
            masked = target.copy()
            masked[SIZE // 2 :] = 0
            faces_N.append(np.concatenate([identity, masked, target], axis=-1))
            mels_N.append(spec[:, start : start + MEL_STEP])
        batch = np.stack(faces_N) / 255.0
        mels = np.stack(mels_N)[..., None]
        assert batch.dtype == mels.dtype == np.float64
        yield BATCH


def ours(clips: Clips, p: TrainParams) -> Iterator[int]:
    for epoch in count():
        draws = clips.draw(p, seed=0, epoch=epoch, per_clip=p.windows_per_clip, flip=p.augment.flip)
        for k in range(0, len(draws) - BATCH + 1, BATCH):
            loader.batch_of(clips, draws.rows(k, k + BATCH))
            yield BATCH


def forgetful(clips: Clips, p: TrainParams) -> Iterator[int]:
    """Every clip is decoded once per epoch: decoded clips are dropped before the next epoch."""
    per_epoch = len(clips) * p.windows_per_clip // BATCH
    for number, made in enumerate(ours(clips, p)):
        yield made
        if number % per_epoch == per_epoch - 1:
            clips.forget()


def mapped(clips: Clips, p: TrainParams) -> Iterator[int]:
    """As trained, with what was decoded dropped after each epoch."""
    for number in count():
        epoch = loader.Epoch(
            clips, p, seed=0, epoch=number, per_clip=p.windows_per_clip, flip=p.augment.flip, silent=p.augment.silent
        )

        @cache
        def change_of(clip: int, number: int = number) -> Change:
            return augment.draw(p.augment, seed=0, epoch=number, clip=clips.keys[clip])

        for k in range(loader.batches_per_epoch(len(clips), p)):
            loader.batch_of(clips, epoch.rows(k), change_of)
            yield p.batch_size
        clips.forget()


def streamed(clips: Clips, p: TrainParams) -> Iterator[int]:
    for _ in Stream(clips, p, 0, 0, 1):
        yield p.batch_size


def rate(batches: Iterator[int], seconds: float) -> tuple[int, float]:
    began, made = time.process_time(), 0
    while (took := time.process_time() - began) < seconds:
        made += next(batches)
    return made, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of processor time for each; default: %(default)s")
    args = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    params = config.load(Path("params.yaml"))
    p, trained = params.train, replace(params.train, batch_size=BATCH)

    stored = Clips(paths.INDEX, paths.SHARDS, "train")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "lipgan").mkdir()
        folders = unpack(stored, folder / "lipgan")
        made_of = {
            (storage, times): store(stored, folder, storage, times, params.faces.jpeg_quality)
            for storage, times in (("jpeg", 1), ("raw", 1), ("jpeg", LONG), ("raw", LONG))
        }
        in_memory = made_of["jpeg", 1][0]()
        sources: dict[str, Iterator[int]] = {
            "LipGAN": lipgan(folders),
            "ours, JPEG, anew each epoch": forgetful(made_of["jpeg", 1][0](), p),
            "ours, raw, anew each epoch": forgetful(made_of["raw", 1][0](), p),
            "ours, JPEG, long, anew each epoch": forgetful(made_of["jpeg", LONG][0](), p),
            "ours, raw, long, anew each epoch": forgetful(made_of["raw", LONG][0](), p),
            "ours, JPEG, in memory": ours(in_memory, p),
            "ours, JPEG, as trained, anew each epoch": mapped(made_of["jpeg", 1][0](), trained),
            "ours, JPEG, as trained, streamed": streamed(made_of["jpeg", 1][0](), trained),
            "ours, raw, as trained, anew each epoch": mapped(made_of["raw", 1][0](), trained),
            "ours, raw, as trained, streamed": streamed(made_of["raw", 1][0](), trained),
        }
        for batches in list(sources.values())[1:]:  # an epoch: every clip was read once, and held against its hash
            for _ in range(len(folders) * p.windows_per_clip // BATCH):
                next(batches)
        for clip in range(len(in_memory)):
            in_memory.stored(clip).faces.all()
        made = dict.fromkeys(sources, 0)
        took_s = dict.fromkeys(sources, 0.0)
        for _ in range(ROUNDS):
            for name, batches in sources.items():
                num, s = rate(batches, args.seconds / ROUNDS)
                made[name] += num
                took_s[name] += s
    rates = {name: round(made[name] / took_s[name], 1) for name in sources}
    ratios = {name: round(value / rates["LipGAN"], 1) for name, value in rates.items()}
    print("| loader | samples/s/core | ratio |\n|-|-|-|")
    for name, value in rates.items():
        print(f"| {name} | {value} | {ratios[name]} |")
    result = {
        "commit": commit(), "machine": machine(), "clips": len(folders), "batch": BATCH,
        "windows_per_clip": p.windows_per_clip, "samples_per_s_per_core": rates, "ratio": ratios,
        "bytes_per_frame": {storage: made_of[storage, 1][1] for storage in ("jpeg", "raw")},
    }  # fmt: skip
    (RESULTS / "loader.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
