"""Audio augmentation for training the motion network: speaker, room, microphone, level, background audio.

Everything operates on mel power, where sounds add as if they had no phase (accuracy: model.disturbances.mixed).
Shape letters: C columns of 10 ms, M mel bands
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from model import backgrounds, seeds
from model.mfcc import mel_power
from model.params import MotionAugmentParams, MotionParams
from model.timing import SAMPLE_RATE_HZ

EQUALISER_BANDS = 6
COLUMN_S = 0.01
DECAY_S = (0.2, 0.8)  # reverberation time: how long a fall of 60 dB takes
WET = (0.1, 1.0)  # power of the reverberation relative to the direct sound
TILT = 6.0  # largest fall of noise across the mel bands, log power
NOTE_COLUMNS, NOTES, RING_COLUMNS = (15, 80), 5, (10, 60)

PIECES, PIECE_S = 8, 6  # of music
PITCH = (0.7, 1.4)  # factors by which their bands are shifted


class Sounds(NamedTuple):
    """Background audio for a voice.

    chords_PCM    pieces of music, mean power 1
    other_voice   (random generator, number of columns) -> (C, M) power of another voice
    """

    chords_PCM: np.ndarray
    other_voice: Callable[[np.random.Generator, int], np.ndarray]


def chords(p: MotionParams) -> np.ndarray:
    """Mel power of the music of model.backgrounds.  Shape: -> (PIECES, C, M) float32, mean 1 each"""
    rng = seeds.generator("motion", "chords")
    pieces = [backgrounds.music(rng, PIECE_S * SAMPLE_RATE_HZ) for _ in range(PIECES)]
    power_PCM = np.stack([mel_power(sound, p.num_bands, p.low_hz, p.high_hz) for sound in pieces])
    return power_PCM / power_PCM.mean(axis=(1, 2), keepdims=True)


def changed(power_CM: np.ndarray, p: MotionAugmentParams, rng: np.random.Generator, sounds: Sounds) -> np.ndarray:
    """Another speaker, room, microphone and level, with background audio.  Shape: (C, M) -> the same shape, float32"""
    power_CM = throat(power_CM, 1 + p.throat * rng.uniform(-1, 1))
    if rng.random() < p.room:
        power_CM = reverberant(power_CM, rng.uniform(*DECAY_S), rng.uniform(*WET))
    if rng.random() < p.disturbed:
        background_CM = disturbance(rng, power_CM.shape, sounds)
        power_CM = power_CM + background_CM * power_CM.mean() * np.float32(
            10 ** (-rng.uniform(p.snr_db[0], p.snr_db[1]) / 10)
        )
    return coloured(power_CM, p, rng)


def voiceless(
    level: float, shape: tuple[int, ...], p: MotionAugmentParams, rng: np.random.Generator, sounds: Sounds
) -> np.ndarray:
    """Music or noise without a voice, at most as loud as a voice of mean power `level`.  Shape: -> (C, M) float32"""
    sound_CM = music(rng, shape, sounds.chords_PCM) if rng.random() < 0.7 else noise(rng, shape)
    return coloured(sound_CM * np.float32(level * 10 ** rng.uniform(-5, 0)), p, rng)


def coloured(power_CM: np.ndarray, p: MotionAugmentParams, rng: np.random.Generator) -> np.ndarray:
    bands = power_CM.shape[1]
    knots = np.linspace(0, bands - 1, EQUALISER_BANDS)
    gain_M = np.interp(np.arange(bands), knots, rng.normal(0, p.microphone, EQUALISER_BANDS)) + rng.normal(0, p.level)
    return power_CM * np.exp(gain_M).astype(np.float32)


def throat(power_CM: np.ndarray, factor: float) -> np.ndarray:
    """Bands shifted by a factor, as a longer or shorter vocal tract shifts formants."""
    return resampled(power_CM.T, np.arange(power_CM.shape[1]) * factor).T


def reverberant(power_CM: np.ndarray, decay_s: float, wet: float) -> np.ndarray:
    """With room reverberation: the power of each column decays by 60 dB in `decay_s`."""
    kept = 10 ** (-6 * COLUMN_S / decay_s)
    num = min(len(power_CM), int(decay_s / COLUMN_S) + 1)
    tail_N = (kept ** np.arange(1, num + 1) * (1 - kept)).astype(np.float32)
    size = 2 * len(power_CM)
    spectrum_FM = np.fft.rfft(power_CM, size, axis=0) * np.fft.rfft(tail_N, size)[:, None]
    late_CM = np.fft.irfft(spectrum_FM, size, axis=0)[: len(power_CM)]
    return power_CM + np.float32(wet) * np.maximum(late_CM, 0).astype(np.float32)


def disturbance(rng: np.random.Generator, shape: tuple[int, ...], sounds: Sounds) -> np.ndarray:
    """Noise, music or another voice, with mean power 1.  Shape: -> (C, M) float32"""
    kind = rng.integers(3)
    if kind == 2:
        voice_CM = sounds.other_voice(rng, shape[0])
        return voice_CM / max(float(voice_CM.mean()), 1e-20)
    return noise(rng, shape) if kind else music(rng, shape, sounds.chords_PCM)


def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise from white to brown, with mean power 1."""
    power_CM = rng.exponential(size=shape) * _tilt(rng, shape[1])
    return (power_CM / power_CM.mean()).astype(np.float32)


def music(rng: np.random.Generator, shape: tuple[int, ...], chords_PCM: np.ndarray) -> np.ndarray:
    """Chords at a random pitch and position, or decaying notes of a few bands."""
    if rng.random() < 0.5:
        power_CM = _notes(rng, *shape)
    else:
        piece_CM = chords_PCM[rng.integers(len(chords_PCM))]
        columns = rng.integers(len(piece_CM)) + np.arange(shape[0])
        power_CM = throat(np.take(piece_CM, columns, axis=0, mode="wrap"), rng.uniform(*PITCH))
    power_CM = power_CM * _tilt(rng, shape[1])
    return (power_CM / power_CM.mean()).astype(np.float32)


def _notes(rng: np.random.Generator, num_columns: int, num_bands: int) -> np.ndarray:
    power_CM = np.full((num_columns, num_bands), 1e-3)
    start = 0
    while start < num_columns:
        span = power_CM[start : start + int(rng.integers(*NOTE_COLUMNS))]
        fade_C = np.exp(-np.arange(len(span)) / rng.uniform(*RING_COLUMNS))
        for band in rng.integers(0, num_bands, NOTES):
            span[:, band] += rng.uniform(0.2, 1) * fade_C
        start += len(span)
    return power_CM * rng.uniform(0.7, 1.3, power_CM.shape)


def resampled(values_N: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Linear interpolation at fractional row numbers, clamped to the ends.  Shape: (N, ...), (A,) -> (A, ...)"""
    at = np.clip(at, 0, len(values_N) - 1)
    low = np.minimum(np.floor(at).astype(np.int64), max(len(values_N) - 2, 0))
    high, share = np.minimum(low + 1, len(values_N) - 1), (at - low).astype(np.float32)
    share = share.reshape(-1, *[1] * (values_N.ndim - 1))
    return values_N[low] * (1 - share) + values_N[high] * share


def _tilt(rng: np.random.Generator, num_bands: int) -> np.ndarray:
    return np.exp(-rng.uniform(0, TILT) * np.arange(num_bands) / num_bands)
