"""Sounds that training lays under voices: music and noise, made from seeds, so that nothing has to be downloaded.

The noise is white to brown; the chords are those of the synthetic corpus in another order. Evaluation draws its own
(model/mixtures.py), from other seeds, and its noise is white.
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
    """Mel power of each piece, whose mean square is 1.  Shape: -> (pieces, 100 columns a second, 40) float32"""
    rng = seeds.generator("disturbances")
    num = PIECE_S * SAMPLE_RATE_HZ
    made = [backgrounds.music(rng, num) for _ in range(PIECES)]
    made += [coloured(rng, num, fall) for fall in np.linspace(0, BROWN, PIECES)]
    levelled = [sound / np.sqrt(np.mean(np.square(sound))) for sound in made]
    return torch.from_numpy(np.stack([mfcc.mel_power(sound) for sound in levelled])).to(device)


def coloured(rng: np.random.Generator, num_samples: int, fall: float) -> np.ndarray:
    """Noise whose power falls with frequency to the power `fall`: 0 is white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    hz = np.maximum(np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ), 50.0)  # flat below: rumble nobody hears
    return np.fft.irfft(spectrum * hz ** (-fall / 2), num_samples)


def affected(changes: Sequence[Change], silent_B: np.ndarray) -> np.ndarray:
    """Which of B samples hear another sound than their clip's.  Shape: (B,) bool -> (n,) int"""
    return np.flatnonzero(silent_B | np.isfinite([change.snr_db for change in changes]))


def disturbed_cepstra(
    stored_BWM: torch.Tensor, columns_BW: np.ndarray, changes: Sequence[Change], silent_B: np.ndarray
) -> torch.Tensor:
    """The cepstra of windows of clips with what `changes` lay under them, or of that alone where all is silent.

    columns_BW   which columns of its clip each window has: what is under them goes on from one to the next
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
