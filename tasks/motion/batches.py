"""Training batches for the motion network; a batch depends only on the seed and the step number."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch

from model import head_mesh, motion, motion_augment, seeds
from model.motion_augment import Sounds, resampled
from model.params import MotionParams
from model.timing import COLUMNS_PER_FRAME

MIN_FOUND = 0.95  # share of a clip's frames with a mesh; the others repeat the nearest


class OfPerson(Protocol):
    @property
    def person(self) -> str: ...


Item = TypeVar("Item", bound=OfPerson)


@dataclass(frozen=True, slots=True)
class MotionClip:
    """power_CM: mel power of model.motion.listen, C = 4 T; mouth_TS3: MOUTH points on the canonical head, float32

    folder   number of its data folder
    """

    name: str
    person: str
    power_CM: np.ndarray
    mouth_TS3: np.ndarray
    folder: int = 0

    def __post_init__(self) -> None:
        assert len(self.power_CM) == COLUMNS_PER_FRAME * len(self.mouth_TS3), self.name

    @property
    def closed_S3(self) -> np.ndarray:
        return head_mesh.closed_mouth(self.mouth_TS3)

    @property
    def opening_T(self) -> np.ndarray:
        return head_mesh.mouth_opening(self.mouth_TS3)


@dataclass(frozen=True, slots=True)
class Prepared:
    power_CM: np.ndarray
    code_TK: np.ndarray
    folder: int = 0


class Pieces:
    """Clips as components and mel power, and batches of pieces cut from them."""

    def __init__(self, clips: Sequence[MotionClip], p: MotionParams, seed: int) -> None:
        self.p, self.seed = p, seed
        first = [clip for clip in clips if clip.folder == 0]  # the kind of people the network is for
        self.spread_of = spreads(first)
        size_of = sizes(clips, geometric_mean(self.spread_of.values()), p)
        shifts = [(clip.mouth_TS3 - clip.closed_S3) / size_of[clip.person] for clip in clips]
        first_shifts = [shift for clip, shift in zip(clips, shifts, strict=True) if clip.folder == 0]
        self.shapes = motion.principal_shapes(np.concatenate(first_shifts), p.num_components)
        self.clips = [
            Prepared(clip.power_CM, self.shapes.codes(shift), clip.folder)
            for clip, shift in zip(clips, shifts, strict=True)
        ]
        self.share_N = shares(clips, p)
        self.sounds = Sounds(motion_augment.chords(p), self._other_voice)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Shape: -> features (B, M, 4 L), code (B, L, K), folder (B,) int, L = num_frames"""
        pieces = [self._piece(step, number) for number in range(self.p.clips_per_batch)]
        features_BCM, code_BLK, folder_B = (torch.from_numpy(np.stack(part)) for part in zip(*pieces, strict=True))
        return features_BCM.transpose(1, 2).contiguous(), code_BLK, folder_B

    def _piece(self, step: int, number: int) -> tuple[np.ndarray, np.ndarray, np.int64]:
        """Shape: -> (4 L, M), (L, K) float32, number of the clip's folder"""
        rng = seeds.generator(self.seed, "motion", step, number)
        clip, augment, length = self._draw(rng), self.p.augment, self.p.num_frames
        power_CM, code_TK = spoken_faster(clip, 1 + augment.speed * rng.uniform(-1, 1))
        if rng.random() < augment.voiceless:
            power_CM = motion_augment.voiceless(float(power_CM.mean()), power_CM.shape, augment, rng, self.sounds)
            code_TK = np.zeros_like(code_TK)
        else:
            power_CM = motion_augment.changed(power_CM, augment, rng, self.sounds)
        features_CM, code_TK = padded(motion.heard(power_CM), code_TK, length)
        first = int(rng.integers(len(code_TK) - length + 1))
        columns = slice(COLUMNS_PER_FRAME * first, COLUMNS_PER_FRAME * (first + length))
        return features_CM[columns], code_TK[first : first + length], np.int64(clip.folder)

    def _draw(self, rng: np.random.Generator) -> Prepared:
        return self.clips[int(rng.choice(len(self.clips), p=self.share_N))]

    def _other_voice(self, rng: np.random.Generator, num_columns: int) -> np.ndarray:
        power_CM = self._draw(rng).power_CM
        return np.take(power_CM, rng.integers(len(power_CM)) + np.arange(num_columns), axis=0, mode="wrap")


def filled(mesh_T4683: np.ndarray, found_T: np.ndarray) -> np.ndarray:
    """Frames without a mesh repeat the nearest that has one.  Shape: (T, ...), (T,) bool -> (T, ...)"""
    frames_N = np.flatnonzero(found_T)
    return mesh_T4683[frames_N[np.abs(np.arange(len(found_T))[:, None] - frames_N).argmin(axis=1)]]


def at_most(items: Iterable[Item], num_each: int) -> list[Item]:
    """At most `num_each` items per person, evenly spaced, in order."""
    items_of: dict[str, list[Item]] = {}
    for item in items:
        items_of.setdefault(item.person, []).append(item)
    return [
        own[at]
        for own in items_of.values()
        for at in np.unique(np.linspace(0, len(own) - 1, min(num_each, len(own))).round().astype(int))
    ]


def shares(clips: Sequence[MotionClip], p: MotionParams) -> np.ndarray:
    """Probability of each clip: folders by `first_share`, people within one by `person_balance`.  Shape: -> (N,)"""
    num_of = Counter(clip.person for clip in clips)
    share_N = np.array([num_of[clip.person] ** (p.person_balance - 1) for clip in clips])
    folder_N = np.array([clip.folder for clip in clips])
    num_others = len(set(folder_N.tolist()) - {0})
    for folder in sorted(set(folder_N.tolist())):
        target = (1 - p.first_share) / num_others if folder else p.first_share if num_others else 1.0
        share_N[folder_N == folder] *= target / share_N[folder_N == folder].sum()
    return share_N / share_N.sum()


def sizes(clips: Sequence[MotionClip], usual: float, p: MotionParams) -> dict[str, float]:
    """Each person's range of motion relative to the average person, whose opening has standard deviation `usual`."""
    return {person: spread / usual if p.same_size else 1.0 for person, spread in spreads(clips).items()}


def geometric_mean(values: Iterable[float]) -> float:
    return float(np.exp(np.mean(np.log(list(values)))))


def spreads(clips: Sequence[MotionClip]) -> dict[str, float]:
    """Standard deviation of each person's opening over all frames: some open their lips twice as far as others."""
    open_of: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        open_of.setdefault(clip.person, []).append(clip.opening_T)
    return {person: float(np.concatenate(openings).std()) for person, openings in open_of.items()}


def spoken_faster(clip: Prepared, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Audio and mouth `factor` times as fast; the mouth stays sampled at the middles of 25 fps frames."""
    num_frames = int(len(clip.code_TK) / factor)
    columns = np.arange(num_frames * COLUMNS_PER_FRAME) * factor
    frames = (np.arange(num_frames) + 0.5) * factor - 0.5
    return resampled(clip.power_CM, columns), resampled(clip.code_TK, frames)


def padded(features_CM: np.ndarray, code_TK: np.ndarray, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Repeats the last values of a clip that is shorter than a piece."""
    missing = max(num_frames - len(code_TK), 0)
    if missing:
        features_CM = np.pad(features_CM, ((0, missing * COLUMNS_PER_FRAME), (0, 0)), mode="edge")
        code_TK = np.pad(code_TK, ((0, missing), (0, 0)), mode="edge")
    return features_CM, code_TK
