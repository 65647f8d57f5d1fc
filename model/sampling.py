"""The samples of an epoch and their order, drawn before it begins, so that it can be split, shared and resumed.

An epoch is a table of draws. A batch is a range of rows, a rank takes its part of each batch, and resuming means
starting at row k. A clip's draws depend on (seed, epoch, clip), never on a worker or on the other clips.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model import seeds


@dataclass(frozen=True, slots=True)
class Draws:
    """One row per sample, N rows; a clip is given by its index in the sequence the epoch was drawn from."""

    clip_N: np.ndarray
    target_N: np.ndarray  # frame to generate
    identity_N: np.ndarray  # frame of the same clip that shows the person
    negative_clip_N: np.ndarray  # clip of the out-of-sync sound ...
    negative_frame_N: np.ndarray  # ... and its frame
    flip_N: np.ndarray  # bool: mirror both pictures
    silent_N: np.ndarray  # bool: the target is a closed mouth, and its sound silence

    def __len__(self) -> int:
        return len(self.clip_N)

    def rows(self, start: int, stop: int) -> "Draws":
        return self.take(np.arange(start, stop))

    def take(self, rows_M: np.ndarray) -> "Draws":
        """Rows by number, modulo the number of rows."""
        return Draws(*(getattr(self, name)[rows_M % len(self)] for name in self.__slots__))

    def join(self, other: "Draws") -> "Draws":
        return Draws(*(np.concatenate([getattr(part, name) for part in (self, other)]) for name in self.__slots__))


def draw(
    keys: Sequence[str],
    found: Sequence[np.ndarray],
    *,
    seed: int,
    epoch: int | str,
    per_clip: int,
    in_flight: int,
    identity_min_frames: int,
    negative_min_frames: int,
    flip: bool,
    run: int = 1,
    closed: Sequence[np.ndarray] | None = None,
    silent: float = 0.0,
) -> Draws:
    """Draw an epoch: `per_clip` samples of every clip, clips in a new order, mixed in groups of `in_flight` clips.

    Target and identity frames have a detected face. The identity frame is at least `identity_min_frames` from its
    target. The negative's sound is, half of the time, of the same clip at least `negative_min_frames` away, otherwise
    of another clip of the group: never the target's own, whatever the batch size.

    run: a sample is that many rows of consecutive frames; they share identity frame and mirroring, and their negatives
         are consecutive too. The rest holds for each of its frames. A clip without such a run has no samples.
    silent: share of single frames (no runs) whose target is one of the clip's `closed` frames, and the sound silence;
            a clip without such frames has none

    Shape:  found, closed: per clip (T,) bool
    Errors: ValueError if a clip has no pair of frames far enough apart, or the only clip has no negative.
    """
    order = seeds.generator(seed, "clips", epoch).permutation(len(keys))
    parts = []
    for start in range(0, len(order), in_flight):
        group = order[start : start + in_flight]
        samples = np.concatenate(
            [
                _of_clip(
                    int(clip), group, keys, found, seeds.generator(seed, _kind("samples", run), epoch, keys[clip]),
                    per_clip, identity_min_frames, negative_min_frames, run,
                    _silences(closed, silent, seed, epoch, keys, int(clip), per_clip, run),
                )
                for clip in group
                if run == 1 or len(targets(found[clip], identity_min_frames, run))
            ]
            or [np.empty((0, COLUMNS), np.int64)]
        )  # fmt: skip
        mixed = seeds.generator(seed, _kind("mix", run), epoch, start).permutation(len(samples))
        parts.append(samples[mixed])
    table = np.repeat(np.concatenate(parts), run, axis=0)
    if not len(table):
        raise ValueError(f"no clip has {run} frames in a row with a face, and an identity frame for them")
    later_N = np.arange(len(table)) % run
    table[:, TARGET] += later_N
    table[:, NEGATIVE_FRAME] += later_N
    clip_N, target_N, identity_N, negative_clip_N, negative_frame_N, mirrored_N, silent_N = table.T
    return Draws(
        clip_N, target_N, identity_N, negative_clip_N, negative_frame_N, (mirrored_N == 1) & flip, silent_N == 1
    )


COLUMNS, TARGET, NEGATIVE_FRAME = 7, 1, 4  # of the table


def _kind(name: str, run: int) -> str:
    return name if run == 1 else f"{name} of {run}"


def _silences(
    closed: Sequence[np.ndarray] | None,
    silent: float,
    seed: int,
    epoch: int | str,
    keys: Sequence[str],
    clip: int,
    per_clip: int,
    run: int,
) -> np.ndarray:
    """The closed frame that replaces each draw's target; -1: not replaced.  Shape: -> (per_clip,) int"""
    frames = np.flatnonzero(closed[clip]) if closed is not None and silent and run == 1 else np.empty(0, np.int64)
    if not len(frames):
        return np.full(per_clip, -1)
    rng = seeds.generator(seed, "silence", epoch, keys[clip])
    return np.where(rng.random(per_clip) < silent, rng.choice(frames, per_clip), -1)


def targets(found_T: np.ndarray, identity_min_frames: int, run: int = 1) -> np.ndarray:
    """First frames of runs of `run` frames with a face that have an identity frame far enough away from all of them."""
    with_face = np.flatnonzero(found_T)
    if len(found_T) < run or not len(with_face):
        return with_face[:0]
    frames = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(found_T, run).all(axis=1))
    last = frames + run - 1
    return frames[(frames - with_face[0] >= identity_min_frames) | (with_face[-1] - last >= identity_min_frames)]


def _of_clip(
    clip: int,
    group: np.ndarray,
    keys: Sequence[str],
    found: Sequence[np.ndarray],
    rng: np.random.Generator,
    per_clip: int,
    identity_min_frames: int,
    negative_min_frames: int,
    run: int,
    silent_N: np.ndarray,
) -> np.ndarray:
    """Draws of one clip, for the first frame of each run.  Shape: silent (per_clip,) -> (per_clip, 7) int"""
    with_face = np.flatnonzero(found[clip])
    possible = targets(found[clip], identity_min_frames, run)
    if not len(possible):
        raise ValueError(f"{keys[clip]}: no two frames with a face are {identity_min_frames} apart")
    # every frame once before any is drawn twice
    rounds = [rng.permutation(possible) for _ in range(-(-per_clip // len(possible)))]
    out = np.empty((per_clip, COLUMNS), np.int64)
    others = group[group != clip] if len(group) > 1 else np.delete(np.arange(len(keys)), clip)
    others = np.array([k for k in others if len(found[int(k)]) >= run], np.int64)
    num_starts = len(found[clip]) - run + 1
    is_silent_N = np.isin(silent_N, possible)
    frames = np.where(is_silent_N, silent_N, np.concatenate(rounds)[:per_clip])
    identities: list[int] = with_face.tolist()  # choosing a single element is slow in numpy
    for row, (target, is_silent) in enumerate(zip(frames.tolist(), is_silent_N.tolist(), strict=True)):
        # candidates lie far enough before or after the target; `skipped` counts those in between
        low = bisect_right(identities, target - identity_min_frames)
        skipped = bisect_left(identities, target + run - 1 + identity_min_frames, low) - low
        drawn = int(rng.integers(len(identities) - skipped))
        identity = identities[drawn + (skipped if drawn >= low else 0)]
        low = min(max(target - negative_min_frames + 1, 0), num_starts)
        skipped = max(min(target + negative_min_frames, num_starts), low) - low
        same_clip = rng.random() < 0.5
        if num_starts - skipped and (same_clip or not len(others)):
            drawn = int(rng.integers(num_starts - skipped))
            negative = (clip, drawn + (skipped if drawn >= low else 0))
        elif len(others):
            other = int(others[rng.integers(len(others))])
            negative = (other, int(rng.integers(len(found[other]) - run + 1)))
        else:
            raise ValueError(
                f"{keys[clip]} is the only clip and has no frame {negative_min_frames} from frame {target}"
            )
        out[row] = (clip, target, identity, *negative, rng.random() < 0.5, is_silent)
    return out
