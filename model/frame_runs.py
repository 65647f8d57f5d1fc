"""The runs of frames that the sync expert is trained and measured on.

An epoch takes every clip once, in a new order; a batch is the next few clips with some runs of each. Draws depend on
(seed, epoch, clip) alone, so a batch can be rebuilt from its number.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model import seeds
from model.expert import RUN


class Runs(NamedTuple):
    """N runs of each of some clips."""

    epoch: int
    clip_C: np.ndarray  # places in the sequence of clips
    start_CN: np.ndarray  # first frame of each run
    flip_C: np.ndarray  # bool: mirror the clip


def starts(found_T: np.ndarray) -> np.ndarray:
    """First frames of the runs with a face in every frame.  Shape: (T,) bool -> (N,) int"""
    if len(found_T) < RUN:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.lib.stride_tricks.sliding_window_view(found_T, RUN).all(axis=1))


def batches_per_epoch(num_clips: int, clips_per_batch: int) -> int:
    """Whole batches only; a corpus smaller than a batch is one batch."""
    return max(1, num_clips // clips_per_batch)


def draw(
    step: int, keys: Sequence[str], starts_of: Sequence[np.ndarray], *, seed: int, clips_per_batch: int, per_clip: int
) -> Runs:
    """The batch of a step.  `starts_of`: `starts` of each clip, none of them empty."""
    epoch, at = divmod(step, batches_per_epoch(len(keys), clips_per_batch))
    order = seeds.generator(seed, "expert clips", epoch).permutation(len(keys))
    clip_C = order[at * clips_per_batch : (at + 1) * clips_per_batch]
    start_CN, flip_C = [], []
    for clip in clip_C:
        rng = seeds.generator(seed, "runs", epoch, keys[clip])
        possible = starts_of[clip]
        start_CN.append(rng.choice(possible, per_clip, replace=len(possible) < per_clip))
        flip_C.append(rng.random() < 0.5)
    return Runs(epoch, clip_C, np.stack(start_CN), np.array(flip_C))


def fixed(starts_of: Sequence[np.ndarray], num_runs: int) -> list[np.ndarray]:
    """Validation runs: always the same, spread evenly over all clips and within each.  Shape: -> per clip (n,) int"""
    per_clip = -(-num_runs // max(1, len(starts_of)))
    return [np.unique(possible[np.linspace(0, len(possible) - 1, per_clip).astype(int)]) for possible in starts_of]
