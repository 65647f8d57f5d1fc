"""From sound to the networks' audio input: mel power and its levels. Training mixes and transforms it: disturbances.py.

Shape letters: M = 40 mel bands, F = 12 coefficients, C columns of a sound, B windows of W columns
"""

from functools import cache

import numpy as np

from model.timing import HOP, SAMPLE_RATE_HZ

NUM_MFCC = 12  # coefficients 1..12; C0, the loudness, is left out
WINDOW_SAMPLES = 400  # 25 ms
NUM_FFT = 512
MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ = 40, 300, 3700
PRE_EMPHASIS, LIFTER = 0.97, 22
LOG_FLOOR = 1e-10  # of mel energy: digital silence gets a finite value
BLOCK_COLUMNS = 6000  # of a sound whose spectra are held at a time
STEPS = 1000  # log powers are stored in thousandths of the natural logarithm


def levelled(log_mel_MC: np.ndarray, mean_square: float) -> np.ndarray:
    """A clip's log mel power as it is stored: normalised to mean square 1, in thousandths.

    The cepstra without C0 stay those of the sound, and a background can be mixed in by decibels alone.
    Shape: (40, C) -> (C, 40) int16
    """
    level = np.log(max(mean_square, LOG_FLOOR))
    return np.clip(np.round((log_mel_MC.T - level) * STEPS), -32768, 32767).astype(np.int16)


def mel_power(
    sound: np.ndarray, num_bands: int = MEL_BANDS, low_hz: float = MEL_LOW_HZ, high_hz: float = MEL_HIGH_HZ
) -> np.ndarray:
    """Mel power as tasks.features.audio computes it, in double precision: column j is centred at j x 10 ms.

    Shape: (samples,) float, whole columns -> (samples / 160, num_bands) float32
    """
    sound = np.asarray(sound, np.float64)
    emphasised = np.concatenate([sound[:1], sound[1:] - PRE_EMPHASIS * sound[:-1]])
    padded = np.pad(emphasised, NUM_FFT // 2)
    frames_CS = np.lib.stride_tricks.sliding_window_view(padded, NUM_FFT)[::HOP][: len(sound) // HOP]
    inset = (NUM_FFT - WINDOW_SAMPLES) // 2
    periodic = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
    window = np.pad(periodic, (inset, NUM_FFT - WINDOW_SAMPLES - inset))
    power_CM = np.empty((len(frames_CS), num_bands), np.float32)
    for first in range(0, len(frames_CS), BLOCK_COLUMNS):  # the spectra of an hour at once are 4 GB
        block = slice(first, first + BLOCK_COLUMNS)
        power_CK = np.abs(np.fft.rfft(frames_CS[block] * window)) ** 2
        power_CM[block] = power_CK @ filters(num_bands, low_hz, high_hz)
    return power_CM


@cache
def filters(num_bands: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Triangular filters, evenly spaced on HTK's mel scale, with peaks of 1.  Shape: -> (257, num_bands)"""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (low_hz, high_hz))
    corners_hz = 700 * (10 ** (np.linspace(low, high, num_bands + 2) / 2595) - 1)
    bins_hz = np.fft.rfftfreq(NUM_FFT, 1 / SAMPLE_RATE_HZ)[:, None]
    rising = (bins_hz - corners_hz[:-2]) / np.diff(corners_hz)[:-1]
    falling = (corners_hz[2:] - bins_hz) / np.diff(corners_hz)[1:]
    return np.maximum(0, np.minimum(rising, falling))
