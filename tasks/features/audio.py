"""The network's sound features: MFCC and log-mel, the same numbers as librosa's without its seconds of loading."""

from functools import cache

import numpy as np
import scipy.fft

from model import mfcc as mel
from model import timing
from model.mfcc import LIFTER, LOG_FLOOR, MEL_BANDS, MEL_HIGH_HZ, MEL_LOW_HZ, NUM_FFT, NUM_MFCC, PRE_EMPHASIS
from tasks.media import decode

MFCC_VERSION = 1  # raise it when the sound features change
BLOCK_COLUMNS = 4096  # whose spectra are held in double precision at a time


def mfcc(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """12 cepstral coefficients, 100 columns per second; column j is centred at j x 10 ms.

    Shape:   sound (samples,) float in [-1, 1], cut or padded to num_frames x 640  ->  (12, 4 num_frames) float32
    Source:  LipGAN, You Said That: 25 ms Hamming windows every 10 ms, pre-emphasis 0.97, 40 HTK mel filters from 300
             to 3700 Hz, 13 coefficients, lifter 22, C0 dropped (which removes loudness).
    Differs: columns are centred, as librosa's are, and its lifter counts coefficients from 1.
    """
    return cepstra(log_mel(sound, num_frames))


def cepstra(log_mel_MC: np.ndarray) -> np.ndarray:
    """Shape: (40, columns) -> (12, columns) float32"""
    cepstra_NC = scipy.fft.dct(log_mel_MC, axis=0, type=2, norm="ortho")[: NUM_MFCC + 1]
    order_N = np.arange(1, NUM_MFCC + 2, dtype=cepstra_NC.dtype)
    lifted_NC = cepstra_NC * (1 + LIFTER / 2 * np.sin(np.pi * order_N / LIFTER))[:, None]
    return lifted_NC[1:].astype(np.float32)


def log_mel(sound: np.ndarray, num_frames: int) -> np.ndarray:
    """Natural logarithm of the mel power.  Shape: as for `mfcc` -> (40, 4 num_frames)"""
    power_KC = np.abs(_spectra(_emphasised(decode.fit(sound, num_frames)))) ** 2
    # einsum's way to BLAS decides the last bits
    power_MC = np.einsum("kc,mk->mc", power_KC, _filters(), optimize=True)
    return np.log(np.maximum(power_MC[:, : num_frames * timing.COLUMNS_PER_FRAME], LOG_FLOOR))


def _emphasised(sound: np.ndarray) -> np.ndarray:
    """Each sample less 0.97 of the one before; the one before the first lies on the line through the first two."""
    emphasised = np.empty_like(sound)
    emphasised[1:] = sound[1:] + sound.dtype.type(-PRE_EMPHASIS) * sound[:-1]
    emphasised[0] = sound[0] + (2 * sound[0] - sound[1])
    return emphasised


def _spectra(sound: np.ndarray) -> np.ndarray:
    """Windowed spectra, one more than columns wanted; as precise as the sound.  Shape: (samples,) -> (257, columns)"""
    padded = np.pad(sound, NUM_FFT // 2)
    frames_SC = np.lib.stride_tricks.sliding_window_view(padded, NUM_FFT)[:: timing.HOP].T
    spectra_KC = np.empty((NUM_FFT // 2 + 1, frames_SC.shape[1]), np.result_type(sound, np.complex64), order="F")
    for first in range(0, frames_SC.shape[1], BLOCK_COLUMNS):
        block = slice(first, first + BLOCK_COLUMNS)
        spectra_KC[:, block] = scipy.fft.rfft(_window()[:, None] * frames_SC[:, block], axis=0)
    return spectra_KC


@cache
def _window() -> np.ndarray:
    """A periodic Hamming window in the middle.  Shape: -> (512,) float64"""
    hamming = 0.54 + 0.46 * np.cos(np.linspace(-np.pi, np.pi, mel.WINDOW_SAMPLES + 1)[:-1])
    return np.pad(hamming, (NUM_FFT - mel.WINDOW_SAMPLES) // 2)


@cache
def _filters() -> np.ndarray:
    """Shape: -> (40, 257) float32"""
    return np.ascontiguousarray(mel.filters(MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ).T, np.float32)
