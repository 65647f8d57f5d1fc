"""Background music and noise for training, made from seeds, so that nothing has to be downloaded.

The noise is white to brown; the chords are those of the synthetic corpus in another order. Evaluation draws its own
backgrounds (model/mixtures.py) from other seeds, and its noise is white.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from model import backgrounds, mfcc, seeds
from model.augment import Change
from model.timing import SAMPLE_RATE_HZ

PIECES, PIECE_S = 8, 6  # of each kind
BROWN = 2.0  # fall of brown noise's power with frequency, as an exponent


@cache
def bank(device: torch.device) -> torch.Tensor:
    """Mel power of each background at mean square 1.  Shape: -> (pieces, 100 columns a second, 40) float32"""
    rng = seeds.generator("disturbances")
    num = PIECE_S * SAMPLE_RATE_HZ
    sounds = [backgrounds.music(rng, num) for _ in range(PIECES)]
    sounds += [coloured(rng, num, fall) for fall in np.linspace(0, BROWN, PIECES)]
    levelled = [sound / np.sqrt(np.mean(np.square(sound))) for sound in sounds]
    return torch.from_numpy(np.stack([mfcc.mel_power(sound) for sound in levelled])).to(device)


def coloured(rng: np.random.Generator, num_samples: int, fall: float) -> np.ndarray:
    """Noise whose power falls with frequency to the power `fall`: 0 is white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    hz = np.maximum(np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ), 50.0)  # flat below: inaudible rumble
    return np.fft.irfft(spectrum * hz ** (-fall / 2), num_samples)


def affected(changes: Sequence[Change], silent_B: np.ndarray) -> np.ndarray:
    """Indices of the samples whose sound is not their clip's alone.  Shape: (B,) bool -> (n,) int"""
    return np.flatnonzero(silent_B | np.isfinite([change.snr_db for change in changes]))


def disturbed_cepstra(
    stored_BWM: torch.Tensor, columns_BW: np.ndarray, changes: Sequence[Change], silent_B: np.ndarray
) -> torch.Tensor:
    """Cepstra of windows of clips mixed with the backgrounds of `changes`; silent samples are background alone.

    columns_BW   each window's columns in its clip: the background continues from one window to the next
    Shape: stored (B, W, 40) int16, columns (B, W), silent (B,) bool -> (B, 12, W) float32
    """
    device = stored_BWM.device
    pieces_PCM = bank(device)
    piece_B = np.array([change.piece for change in changes]) % len(pieces_PCM)
    start_B = np.array([change.start for change in changes])
    column_BW = (start_B[:, None] + columns_BW) % pieces_PCM.shape[1]
    level_db_B = np.where(silent_B, [change.floor_db for change in changes], [-change.snr_db for change in changes])
    piece, column, level_db, silent = (
        torch.from_numpy(of).to(device) for of in (piece_B, column_BW, level_db_B.astype(np.float32), silent_B)
    )
    return mixed(stored_BWM, pieces_PCM[piece[:, None], column], level_db, silent)


def mixed(
    stored_BWM: torch.Tensor, other_BWM: torch.Tensor, level_db_B: torch.Tensor, silent_B: torch.Tensor
) -> torch.Tensor:
    """The cepstra of windows mixed with another sound, or of that sound alone.

    Mel powers are added and phases ignored: |S + D|^2 is |S|^2 + |D|^2 and a cross term whose mean is 0, because the
    sounds are independent. Compared with sounds added sample by sample, the coefficients are off by 17 to 20 % of the
    second sound's effect at 20 dB and by 11 % at 0 dB (root mean squares over 8 clips of the demo;
    tests/model/test_disturbances.py), with a bias of less than a fortieth of their spread.

    stored_BWM   of `mfcc.levelled`
    other_BWM    mel power of a sound whose mean square is 1
    level_db_B   of that sound: relative to the voice, or to full scale if the voice is silent
    Shape: stored (B, W, 40) int16, other (B, W, 40), (B,), (B,) bool -> (B, 12, W) float32
    """
    voice_BWM = torch.exp(stored_BWM.float() / mfcc.STEPS)
    voice_BWM = torch.where(silent_B[:, None, None], mfcc.LOG_FLOOR, voice_BWM)
    power_BWM = voice_BWM + other_BWM * (10 ** (level_db_B / 10))[:, None, None]
    return cepstra(power_BWM.log())


def cepstra(log_mel_BWM: torch.Tensor) -> torch.Tensor:
    """Coefficients 1 to 12 of the discrete cosine transform, liftered.  Shape: (B, W, 40) -> (B, 12, W)"""
    return (log_mel_BWM @ _basis().to(log_mel_BWM.device)).transpose(1, 2).contiguous()


@cache
def _basis() -> torch.Tensor:
    """Shape: -> (40, 12)"""
    band_M = torch.arange(mfcc.MEL_BANDS, dtype=torch.float64)
    order_F = torch.arange(1, mfcc.NUM_MFCC + 1, dtype=torch.float64)
    cosine_MF = torch.cos(torch.pi / mfcc.MEL_BANDS * (band_M[:, None] + 0.5) * order_F) * (2 / mfcc.MEL_BANDS) ** 0.5
    # Differs: librosa's lifter counts coefficients from 1
    return (cosine_MF * (1 + mfcc.LIFTER / 2 * torch.sin(torch.pi * (order_F + 1) / mfcc.LIFTER))).float()
