"""Batches of runs for the sync expert: augmented frames and sounds of a few clips at a time."""

import itertools
from collections.abc import Iterator

import numpy as np
import torch

from model import augment, disturbances, frame_runs, samples, timing
from model.augment import Change
from model.expert import MIDDLE, RUN, RunBatch
from model.params import Params
from tasks.core import paths
from tasks.core.ahead import ahead
from tasks.core.errors import UserError
from tasks.loading.clips import Clips
from tasks.storage.shard_reader import StoredClip


def usable(clips: Clips) -> list[int]:
    """Clips with at least two runs, so that they have negatives of their own.  Errors: UserError if there is none"""
    numbers = [number for number, found_T in enumerate(clips.found()) if len(frame_runs.starts(found_T)) > 1]
    if not numbers:
        raise UserError(f"expert: no clip has {RUN + 1} frames in a row with a face; see the reasons in {paths.INDEX}")
    return numbers


def batches(clips: Clips, p: Params, first: int) -> Iterator[RunBatch]:
    """Endless batches from step `first` on; the next one is made while this one is trained on."""
    numbers, found = usable(clips), clips.found()
    keys, starts_of = [clips.keys[n] for n in numbers], [frame_runs.starts(found[n]) for n in numbers]
    e = p.expert

    def make() -> Iterator[RunBatch]:
        for step in itertools.count(first):
            runs = frame_runs.draw(
                step, keys, starts_of, seed=p.seed, clips_per_batch=e.clips_per_batch, per_clip=e.runs_per_clip
            )
            yield batch_of(clips, [numbers[c] for c in runs.clip_C], runs, p)

    yield from ahead(make(), 1)


def batch_of(clips: Clips, numbers: list[int], runs: frame_runs.Runs, p: Params) -> RunBatch:
    faces, sounds = [], []
    for number, start_N, flip in zip(numbers, runs.start_CN, runs.flip_C, strict=True):
        clip = clips.stored(number)
        change = augment.draw(p.expert.augment, seed=p.seed, epoch=f"expert {runs.epoch}", clip=clips.keys[number])
        frames_NR = start_N[:, None] + np.arange(RUN)
        at, where = np.unique(frames_NR, return_inverse=True)  # runs overlap: each frame is augmented once
        changed = augment.faces(clip.faces.at(at.tolist()), change)[where.reshape(frames_NR.shape)]
        faces.append(changed[..., ::-1, :] if flip and p.expert.augment.flip else changed)
        sounds.append(augment.sound(_sound_windows(clip, start_N + MIDDLE, change), change))
    num = runs.start_CN.shape[1]
    return RunBatch(
        torch.from_numpy(np.concatenate(faces)),
        torch.from_numpy(np.concatenate(sounds)),
        torch.from_numpy(np.repeat(numbers, num)),
        torch.from_numpy(runs.start_CN.ravel()),
    )


def _sound_windows(clip: StoredClip, frames_N: np.ndarray, change: Change) -> np.ndarray:
    """The sound windows of frames of a clip, with the background of `change`.  Shape: (N,) -> (N, 12, 35)"""
    if not np.isfinite(change.snr_db):
        return samples.windows(clip.mfcc_FW, frames_N)
    columns_NW = timing.window_columns(frames_N, len(clip.mel_CM))
    stored_NWM = torch.from_numpy(clip.mel_CM[columns_NW])
    changes, silent_N = [change] * len(frames_N), np.zeros(len(frames_N), bool)
    return disturbances.disturbed_cepstra(stored_NWM, columns_NW, changes, silent_N).numpy()
