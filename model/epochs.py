"""Which samples an epoch holds and in what order: drawn before it begins, so that it can be cut, shared and resumed.

An epoch is a table of draws. Its batches are rows of the table; a rank takes its part of each; going on after a stop
is starting at row k. What a clip gives is drawn from (seed, epoch, clip), never from a worker or from its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model import seeds


@dataclass(frozen=True, slots=True)
class Draws:
    """One row a sample, N rows; clips are named by their place in the sequence the epoch was drawn from."""

    clip_N: np.ndarray
    target_N: np.ndarray  # frame to be generated
    identity_N: np.ndarray  # frame of the same clip that shows the person
    negative_clip_N: np.ndarray  # where the out-of-sync sound is taken ...
    negative_frame_N: np.ndarray  # ... and at which frame
    flip_N: np.ndarray  # bool: mirror both pictures

    def __len__(self) -> int:
        return len(self.clip_N)

    def rows(self, start: int, stop: int) -> "Draws":
        return Draws(*(getattr(self, name)[start:stop] for name in self.__slots__))


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
) -> Draws:
    """Draw an epoch: `per_clip` samples of every clip, clips in a new order, mixed in groups of `in_flight` clips.

    A target or identity frame is one in which the face was found. The identity frame is at least
    `identity_min_frames` from its target. The negative's sound is, half of the time, of the same clip at least
    `negative_min_frames` away, otherwise of another clip of the group: never the target's own, whatever the batch size.

    Shape:  found: per clip (T,) bool
    Errors: ValueError where a clip has no pair of frames far enough apart, or the only clip has no negative.
    """
    order = seeds.generator(seed, "clips", epoch).permutation(len(keys))
    parts = []
    for start in range(0, len(order), in_flight):
        group = order[start : start + in_flight]
        samples = np.concatenate(
            [
                _of_clip(
                    int(clip), group, keys, found, seeds.generator(seed, "samples", epoch, keys[clip]), per_clip,
                    identity_min_frames, negative_min_frames,
                )
                for clip in group
            ]
        )  # fmt: skip
        mixed = seeds.generator(seed, "mix", epoch, start).permutation(len(samples))
        parts.append(samples[mixed])
    table = np.concatenate(parts)
    clip_N, target_N, identity_N, negative_clip_N, negative_frame_N, mirrored_N = table.T
    return Draws(clip_N, target_N, identity_N, negative_clip_N, negative_frame_N, (mirrored_N == 1) & flip)


def targets(found_T: np.ndarray, identity_min_frames: int) -> np.ndarray:
    """Frames with a face that have an identity frame far enough away."""
    frames = np.flatnonzero(found_T)
    if not len(frames):
        return frames
    return frames[(frames - frames[0] >= identity_min_frames) | (frames[-1] - frames >= identity_min_frames)]


def _of_clip(
    clip: int,
    group: np.ndarray,
    keys: Sequence[str],
    found: Sequence[np.ndarray],
    rng: np.random.Generator,
    per_clip: int,
    identity_min_frames: int,
    negative_min_frames: int,
) -> np.ndarray:
    """Draws of one clip.  Shape: -> (per_clip, 6) int"""
    seen = np.flatnonzero(found[clip])
    possible = targets(found[clip], identity_min_frames)
    if not len(possible):
        raise ValueError(f"{keys[clip]}: no two frames with a face are {identity_min_frames} apart")
    # every frame once before any is drawn twice
    rounds = [rng.permutation(possible) for _ in range(-(-per_clip // len(possible)))]
    out = np.empty((per_clip, 6), np.int64)
    others = group[group != clip] if len(group) > 1 else np.delete(np.arange(len(keys)), clip)
    num_frames = len(found[clip])
    for row, target in enumerate(np.concatenate(rounds)[:per_clip]):
        identity = rng.choice(seen[np.abs(seen - target) >= identity_min_frames])
        away = np.arange(num_frames)
        away = away[np.abs(away - target) >= negative_min_frames]
        same_clip = rng.random() < 0.5
        if len(away) and (same_clip or not len(others)):
            negative = (clip, rng.choice(away))
        elif len(others):
            other = rng.choice(others)
            negative = (other, rng.integers(len(found[other])))
        else:
            raise ValueError(
                f"{keys[clip]} is the only clip and has no frame {negative_min_frames} from frame {target}"
            )
        out[row] = (clip, target, identity, *negative, rng.random() < 0.5)
    return out
