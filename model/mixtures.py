"""Speech mixed with music or noise at a known signal-to-noise ratio."""

from typing import Literal

import numpy as np

from model import backgrounds, seeds

Kind = Literal["music", "noise"]
KINDS: tuple[Kind, ...] = ("music", "noise")


def mix_at_snr(voice: np.ndarray, kind: Kind, snr_db: float, clip: str) -> np.ndarray:
    """The voice mixed with `kind`, the same for the same clip. Scaled down if it would clip: MFCCs without C0 do not
    depend on loudness.

    snr_db  of the powers of the whole clip, pauses included
    Shape:  (samples,) float -> (samples,) float32
    """
    rng = seeds.generator("noisy", kind, clip)
    other = rng.standard_normal(len(voice)) if kind == "noise" else backgrounds.music(rng, len(voice))
    other_rms = np.sqrt(np.mean(np.square(voice, dtype=np.float64)) / 10 ** (snr_db / 10))
    mixed = voice + other * (other_rms / max(np.sqrt(np.mean(np.square(other))), 1e-12))
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)
