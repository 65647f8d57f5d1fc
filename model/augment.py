"""Augmentation: colours, box shift, microphone and background sound, drawn once per clip and epoch.

All frames of a clip get the same change, so identity frame, target and runs still match. Mirroring and silence are
drawn with the samples (model.sampling); model.disturbances adds the background sound.
Shape letters: N frames, S side of the face crop, F MFCC coefficients, W MFCC columns
"""

from typing import NamedTuple

import numpy as np

from model import seeds
from model.mfcc import NUM_MFCC
from model.params import AugmentParams

STRONGEST = 10.0  # spread of the lowest coefficient at microphone 1, about half of its spread in speech
FALL = 0.8  # spread of each coefficient over the one before: a room's response is smooth over frequency
FLOOR_DB = (-130.0, -50.0)  # noise floor of silence, full scale: digital silence to a noisy room


class Change(NamedTuple):
    table_3V: np.ndarray  # (3, 256) uint8: new value of each value of each colour
    down_px: int
    right_px: int
    cepstra_F: np.ndarray  # (12,) float32, added to every column
    snr_db: float = np.inf  # of the voice over the background; inf: no background
    floor_db: float = 0.0  # level of the background in silent samples, of full scale
    piece: int = 0  # which background, modulo their number
    start: int = 0  # its column at which the clip begins, modulo its length


def draw(p: AugmentParams, *, seed: int, epoch: int | str, clip: str) -> Change:
    """Depends on (seed, epoch, clip) alone.

    cepstra_F  a constant in the cepstra is a constant filter of the sound, as a room, a microphone or a throat is
    """
    rng = seeds.generator(seed, "augment", epoch, clip)
    contrast, brightness, *channels = 1 + p.colour * rng.uniform(-1, 1, 5)
    levels_V = (np.arange(256.0) - 128) * contrast + 128 * brightness
    table_3V = np.clip(levels_V * np.array(channels)[:, None], 0, 255).round().astype(np.uint8)
    down, right = rng.integers(-p.shift_px, p.shift_px + 1, 2)
    spread_F = p.microphone * STRONGEST * FALL ** np.arange(NUM_MFCC)
    cepstra_F = (rng.normal(size=NUM_MFCC) * spread_F).astype(np.float32)
    disturbed, snr_db = rng.random() < p.disturbed, rng.uniform(p.snr_db[0], p.snr_db[1])
    floor_db = rng.uniform(*FLOOR_DB)
    piece, start = (int(number) for number in rng.integers(2**31, size=2))
    snr_db = snr_db if disturbed else np.inf
    return Change(table_3V, int(down), int(right), cepstra_F, snr_db, floor_db, piece, start)


def faces(frames_NSS3: np.ndarray, change: Change) -> np.ndarray:
    """Shape: (N, S, S, 3) uint8 -> the same, new"""
    size, reach = frames_NSS3.shape[1], max(abs(change.down_px), abs(change.right_px))
    if reach:  # the edge is repeated, as the crop does outside a frame
        padded = np.pad(frames_NSS3, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
        top, left = reach - change.down_px, reach - change.right_px
        frames_NSS3 = padded[:, top : top + size, left : left + size]
    return np.stack([change.table_3V[c][frames_NSS3[..., c]] for c in range(3)], axis=-1)


def box(box_4: np.ndarray, change: Change, size: int) -> np.ndarray:
    """A lip box moved with its picture, clipped to it and never empty.  Shape: (4,) int -> (4,) of the same type"""
    left, top, right, bottom = (int(side) for side in box_4)
    left, right = (min(max(side + change.right_px, 0), size) for side in (left, right))
    top, bottom = (min(max(side + change.down_px, 0), size) for side in (top, bottom))
    left, top = min(left, size - 1), min(top, size - 1)
    return np.array([left, top, max(right, left + 1), max(bottom, top + 1)], box_4.dtype)


def sound(mfcc_FW: np.ndarray, change: Change) -> np.ndarray:
    """Shape: (..., 12, columns) float32 -> the same, new"""
    return mfcc_FW + change.cepstra_F[:, None]
