"""Clips from shards, and batches of training samples from clips.

Clips are found through the index. Only faces that are drawn are decoded, and kept while memory allows: a corpus that
fits into memory is decoded only once. tasks.loading.resident holds a whole split for a GPU.

LIPGAN_CLIP_MEMORY_MB   for decoded clips; default 2048
LIPGAN_PREFETCH         batches prepared ahead of the training; default 4
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
import torch

from model import augment, disturbances, timing
from model.augment import Change
from model.params import RUN_FRAMES, TrainParams
from model.samples import Batch
from model.sampling import Draws
from tasks.core.ahead import ahead
from tasks.core.errors import UserError
from tasks.loading.clips import Clips

CHANGES_HELD = 4  # times the clips that are mixed: an epoch's rows go on to others and do not come back


def batches_per_epoch(num_clips: int, p: TrainParams) -> int:
    """Full batches only; the rest of an epoch is not drawn."""
    return max(1, num_clips * p.windows_per_clip // p.batch_size)


class Epoch:
    """The samples of an epoch. Each batch has `train.num_runs` runs of frames first, then single frames."""

    def __init__(
        self,
        clips: Clips,
        p: TrainParams,
        *,
        seed: int,
        epoch: int | str,
        per_clip: int,
        flip: bool,
        silent: float = 0.0,
    ) -> None:
        self.num_run_rows = p.num_runs * RUN_FRAMES
        self.num_single = p.batch_size - self.num_run_rows
        share = self.num_run_rows / p.batch_size
        self.parts: list[tuple[Draws, int]] = []
        for run, num_rows, part in ((RUN_FRAMES, self.num_run_rows, share), (1, self.num_single, 1 - share)):
            if num_rows:
                num = math.ceil(per_clip * part / run)
                drawn = clips.draw(p, seed=seed, epoch=epoch, per_clip=num, flip=flip, run=run, silent=silent)
                self.parts.append((drawn, num_rows))

    def rows(self, number: int, rank: int = 0, num_ranks: int = 1) -> Draws:
        """The samples of batch `number`, or a rank's part, with as many runs and single frames as any other's."""
        parts = []
        for drawn, num in self.parts:
            part = num // num_ranks
            start = number * num + rank * part
            parts.append(drawn.take(np.arange(start, start + part)))
        return parts[0] if len(parts) == 1 else parts[0].join(parts[1])


def batch_of(clips: Clips, rows: Draws, change_of: Callable[[int], Change] | None = None) -> Batch:
    """The samples of some rows of an epoch, with uint8 pictures, which the device converts to floats.

    change_of: the augmentation of each clip, by its number; sound of another clip gets that of the face's clip
    """
    changes = [change_of(int(clip)) for clip in rows.clip_N] if change_of else []
    size, num = clips.stored(int(rows.clip_N[0])).faces.size, len(rows)
    identity_BSS3, target_BSS3 = (np.empty((num, size, size, 3), np.uint8) for _ in range(2))
    mouth_B4 = np.empty((num, 4), np.int16)
    columns = [part.tolist() for part in (rows.clip_N, rows.target_N, rows.identity_N, rows.flip_N)]
    for k, (clip_number, t, i, flip) in enumerate(zip(*columns, strict=True)):  # iterating over numpy numbers is slow
        clip = clips.stored(clip_number)
        box_4 = clip.mouths_T4[t]
        pair = [clip.faces[i], clip.faces[t]]
        if changes:
            pair, box_4 = list(augment.faces(np.stack(pair), changes[k])), augment.box(box_4, changes[k], size)
        for picture_SS3, out_BSS3 in zip(pair, (identity_BSS3, target_BSS3), strict=True):
            if flip:  # numpy's [:, ::-1] is ten times slower
                cv2.flip(picture_SS3, 1, dst=out_BSS3[k])
            else:
                out_BSS3[k] = picture_SS3
        mouth_B4[k] = (size - box_4[2], box_4[1], size - box_4[0], box_4[3]) if flip else box_4
    right_BFW = _windows(clips, rows.clip_N, rows.target_N, changes, rows.silent_N)
    wrong_BFW = _windows(clips, rows.negative_clip_N, rows.negative_frame_N, changes, np.zeros(num, bool))
    parts = (identity_BSS3, target_BSS3, np.stack(right_BFW), np.stack(wrong_BFW), mouth_B4)
    return Batch(*(torch.from_numpy(part) for part in parts))


def _windows(
    clips: Clips, clip_B: np.ndarray, frame_B: np.ndarray, changes: Sequence[Change], silent_B: np.ndarray
) -> list[np.ndarray]:
    """The sound windows of frames of clips, augmented if there are changes.  Shape: -> (12, 35) each"""
    sources = [clips.stored(clip) for clip in clip_B.tolist()]
    windows = [window(of.mfcc_FW, frame) for of, frame in zip(sources, frame_B.tolist(), strict=True)]
    if not changes:
        return windows
    if len(at := disturbances.affected(changes, silent_B)):
        columns_BW = timing.window_columns(frame_B[at], np.array([sources[k].mfcc_FW.shape[1] for k in at]))
        disturbed_BFW = disturbances.disturbed_cepstra(
            torch.from_numpy(np.stack([sources[k].mel_CM[W] for k, W in zip(at, columns_BW, strict=True)])),
            columns_BW,
            [changes[k] for k in at],
            silent_B[at],
        )
        for k, disturbed_FW in zip(at, disturbed_BFW.numpy(), strict=True):
            windows[k] = disturbed_FW
    return [augment.sound(sound_FW, change) for sound_FW, change in zip(windows, changes, strict=True)]


def window(mfcc_FW: np.ndarray, frame: int) -> np.ndarray:
    """The sound window of a frame.  Shape: (12, columns) -> (12, 35)"""
    first = timing.first_column(frame)
    if 0 <= first <= mfcc_FW.shape[1] - timing.WINDOW:  # most frames need no padding
        return mfcc_FW[:, first : first + timing.WINDOW]
    return mfcc_FW[:, timing.window_columns(np.array([frame]), mfcc_FW.shape[1])[0]]


class MakeBatch(Protocol):
    """Rows of an epoch -> their samples, each clip augmented by `change_of`."""

    def __call__(self, rows: Draws, change_of: Callable[[int], Change] | None = None) -> Batch: ...


class Batches:
    """Endless batches in an order given by (seed, step); a second thread prepares the next ones.

    make                how rows of an epoch become a batch; default: `batch_of` these clips
    rank, num_ranks     which part of each batch this process trains on; all ranks together get the whole batch
    pin                 for a GPU: in pinned memory, so that copies are asynchronous
    """

    def __init__(
        self,
        clips: Clips,
        p: TrainParams,
        seed: int,
        start_step: int,
        *,
        make: MakeBatch | None = None,
        rank: int = 0,
        num_ranks: int = 1,
        pin: bool = False,
    ) -> None:
        assert p.batch_size % num_ranks == 0 == p.num_runs % num_ranks, (p.batch_size, p.num_runs, num_ranks)
        self.clips, self.p, self.seed = clips, p, seed
        self.batches_per_epoch = batches_per_epoch(len(clips), p)
        self._make_batch: MakeBatch = make or (lambda rows, change_of=None: batch_of(clips, rows, change_of))
        self._share = rank, num_ranks
        self._pin = pin
        self._batches = ahead(self._make(start_step), num_ahead())

    def _make(self, step: int) -> Iterator[Batch]:
        while True:
            number, at = divmod(step, self.batches_per_epoch)
            epoch = Epoch(
                self.clips,
                self.p,
                seed=self.seed,
                epoch=number,
                per_clip=self.p.windows_per_clip,
                flip=self.p.augment.flip,
                silent=self.p.augment.silent,
            )

            @lru_cache(CHANGES_HELD * self.p.clips_in_flight)
            def change_of(clip: int, number: int = number) -> Change:
                return augment.draw(self.p.augment, seed=self.seed, epoch=number, clip=self.clips.keys[clip])

            for k in range(at, self.batches_per_epoch):
                batch = self._make_batch(epoch.rows(k, *self._share), change_of)
                yield Batch(*(part.pin_memory() for part in batch)) if self._pin else batch
                step += 1

    def __next__(self) -> Batch:
        return next(self._batches)

    def close(self) -> None:
        self._batches.close()


def num_ahead() -> int:
    value = os.environ.get("LIPGAN_PREFETCH", "4")
    if not value.isdecimal() or int(value) < 1:
        raise UserError(f"LIPGAN_PREFETCH must be a whole number from 1, got {value!r}")
    return int(value)


def fixed_batches(clips: Clips, p: TrainParams, num_samples: int, seed: int) -> list[Batch]:
    """Full batches of the same samples at every call, spread over all clips, to compare training steps."""
    num = max(1, num_samples // p.batch_size)
    per_clip = -(-num * p.batch_size // len(clips))
    epoch = Epoch(clips, p, seed=seed, epoch="fixed", per_clip=per_clip, flip=False)
    return [batch_of(clips, epoch.rows(k)) for k in range(num)]


def fixed_runs(clips: Clips, p: TrainParams, num_runs: int, num_frames: int, seed: int) -> list[Batch]:
    """Runs of consecutive frames, the same at every call; one run per batch, from clips spread over the split."""
    draws = clips.draw(p, seed=seed, epoch="runs", per_clip=1, flip=False)
    runs = []
    for k in np.linspace(0, len(draws) - 1, min(num_runs, len(draws))).astype(int):
        one = draws.rows(k, k + 1)
        total = clips.rows[int(one.clip_N[0])]["num_frames"]
        start = min(int(one.target_N[0]), max(0, total - num_frames))
        run_N = np.arange(start, min(start + num_frames, total))
        repeated = {name: np.repeat(getattr(one, name), len(run_N)) for name in one.__slots__}
        runs.append(batch_of(clips, Draws(**repeated | {"target_N": run_N})))
    return runs


def about(clips: Clips) -> dict[str, Any]:
    return {"clips": len(clips), "frames": sum(row["num_frames"] for row in clips.rows)}
