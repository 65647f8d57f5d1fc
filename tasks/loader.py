"""Clips from shards, and batches of training samples from clips.

Clips are read through the index (one read a clip), decoded once while they are in flight, and kept while memory
allows (LIPGAN_CLIP_MEMORY_MB, default 2048): a corpus that fits is decoded once in all.
"""

import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model import epochs, faces, timing
from model.epochs import Draws
from model.params import TrainParams
from model.samples import Batch
from tasks import index, shards
from tasks.shards import Clip
from tasks.stage import UserError


class Clips:
    """The kept clips of one split, in the order of the index; decoded ones are remembered, the oldest forgotten."""

    def __init__(self, table: Path, folder: Path, split: str) -> None:
        self.folder = folder
        self.rows = index.kept(index.read(table), split)
        if not self.rows:
            raise UserError(f"{table}: no clip in split {split}")
        self.keys = [row["clip"] for row in self.rows]
        self._limit_bytes = int(os.environ.get("LIPGAN_CLIP_MEMORY_MB", "2048")) << 20
        self._held: OrderedDict[int, Clip] = OrderedDict()
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> Clip:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        row = self.rows[number]
        clip = shards.decode(shards.read(self.folder / row["shard"], row["offset"], row["size"]))
        if len(clip.faces_TSS3) != row["num_frames"]:
            raise UserError(f"{row['shard']}: {row['clip']} is not the clip of the index; run `dvc checkout`")
        self._held[number] = clip
        self._held_bytes += _num_bytes(clip)
        while self._held_bytes > self._limit_bytes and len(self._held) > 1:
            self._held_bytes -= _num_bytes(self._held.popitem(last=False)[1])
        return clip

    def draw(self, p: TrainParams, *, seed: int, epoch: int | str, per_clip: int, flip: bool) -> Draws:
        """An epoch over these clips.  Errors: UserError where a clip cannot give a sample."""
        try:
            return epochs.draw(
                self.keys, self.found(), seed=seed, epoch=epoch, per_clip=per_clip, in_flight=p.clips_in_flight,
                identity_min_frames=p.identity_min_frames, negative_min_frames=p.negative_min_frames, flip=flip,
            )  # fmt: skip
        except ValueError as error:
            raise UserError(f"train: {error}; see train.*_min_frames in params.yaml") from error

    def found(self) -> list[np.ndarray]:
        """Per clip, the frames in which the face was found.  Shape: (T,) bool each"""
        return [
            np.unpackbits(np.frombuffer(row["found"], np.uint8), count=row["num_frames"]).astype(bool)
            for row in self.rows
        ]


def _num_bytes(clip: Clip) -> int:
    return clip.faces_TSS3.nbytes + clip.mfcc_FW.nbytes + clip.landmarks_T682.nbytes


def batches_per_epoch(num_clips: int, p: TrainParams) -> int:
    """Full batches only: what is left over at the end of an epoch is not drawn."""
    return max(1, num_clips * p.windows_per_clip // p.batch_size)


def batch_of(clips: Clips, rows: Draws) -> Batch:
    """The samples of some rows of an epoch, as uint8 pictures: the device makes floats of them."""
    identity, target, mfcc, negative, mouth = [], [], [], [], []
    for clip_number, t, i, other, other_t, flip in zip(
        rows.clip_N,
        rows.target_N,
        rows.identity_N,
        rows.negative_clip_N,
        rows.negative_frame_N,
        rows.flip_N,
        strict=True,
    ):
        clip = clips[int(clip_number)]
        size = clip.faces_TSS3.shape[1]
        box = faces.mouth_boxes(clip.landmarks_T682[t : t + 1], size)[0]
        step = -1 if flip else 1
        identity.append(clip.faces_TSS3[i][:, ::step])
        target.append(clip.faces_TSS3[t][:, ::step])
        mouth.append(box if not flip else np.array([size - box[2], box[1], size - box[0], box[3]], np.int16))
        mfcc.append(window(clip.mfcc_FW, int(t)))
        negative.append(window(clips[int(other)].mfcc_FW, int(other_t)))
    return Batch(*(torch.from_numpy(np.stack(part)) for part in (identity, target, mfcc, negative, mouth)))


def window(mfcc_FW: np.ndarray, frame: int) -> np.ndarray:
    """The sound a frame is generated from.  Shape: (12, columns) -> (12, 35)"""
    return mfcc_FW[:, timing.window_columns(np.array([frame]), mfcc_FW.shape[1])[0]]


class Batches:
    """Endless batches in an order that (seed, step) decides; a second thread prepares the next ones."""

    def __init__(self, clips: Clips, p: TrainParams, seed: int, start_step: int, ahead: int = 4) -> None:
        self.clips, self.p, self.seed = clips, p, seed
        self.batches_per_epoch = batches_per_epoch(len(clips), p)
        self._step = start_step
        self._queue: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        try:
            for batch in self._make():
                while not self._stop.is_set():
                    try:
                        self._queue.put(batch, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if self._stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the training thread, which raises it
            self._queue.put(error)

    def _make(self) -> Iterator[Batch]:
        step = self._step
        while True:
            number, at = divmod(step, self.batches_per_epoch)
            draws = self.clips.draw(
                self.p, seed=self.seed, epoch=number, per_clip=self.p.windows_per_clip, flip=self.p.augment.flip
            )
            for k in range(at, self.batches_per_epoch):
                rows = np.arange(k * self.p.batch_size, (k + 1) * self.p.batch_size) % len(draws)
                yield batch_of(self.clips, Draws(*(getattr(draws, name)[rows] for name in draws.__slots__)))
                step += 1

    def __next__(self) -> Batch:
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def fixed_batches(clips: Clips, p: TrainParams, num_samples: int, seed: int) -> list[Batch]:
    """The same samples at every call, spread over all clips: validation is comparable from step to step."""
    per_clip = -(-num_samples // len(clips))
    draws = clips.draw(p, seed=seed, epoch="fixed", per_clip=per_clip, flip=False)
    num = min(num_samples, len(draws))
    return [batch_of(clips, draws.rows(k, min(k + p.batch_size, num))) for k in range(0, num, p.batch_size)]


def about(clips: Clips) -> dict[str, Any]:
    return {"clips": len(clips), "frames": sum(row["num_frames"] for row in clips.rows)}
