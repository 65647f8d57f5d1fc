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
    return mfcc.mixed(stored_BWM, pieces_PCM[piece[:, None], column], level_db, silent)
