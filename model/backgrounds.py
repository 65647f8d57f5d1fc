"""Background sounds of the embedded corpus: the cases `music` and `noise`."""

import numpy as np

from model.timing import SAMPLE_RATE_HZ

CHORD_S = 0.6
ROOTS_HZ = (196.0, 220.0, 246.9, 261.6, 293.7)
CHORD = (1.0, 1.26, 1.5, 2.0)  # a major triad and its octave
NOISE, MUSIC = 0.05, 0.22  # deviation of the noise, peak of the music; speech has a root mean square of 0.12


def add_background(voice: np.ndarray, case: str, rng: np.random.Generator) -> np.ndarray:
    """The voice with the case's background; other cases have none.  Shape: (samples,) -> (samples,) float32"""
    if case == "noise":
        voice = voice + NOISE * rng.standard_normal(len(voice))
    elif case == "music":
        voice = voice + MUSIC * music(rng, len(voice))
    return np.clip(voice, -1, 1).astype(np.float32)


def music(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Plucked chords, one every CHORD_S, with the peak at 1."""
    step = int(CHORD_S * SAMPLE_RATE_HZ)
    times_s = np.arange(step) / SAMPLE_RATE_HZ
    chords = []
    for root_hz in rng.choice(ROOTS_HZ, -(-num_samples // step)):
        tones = [np.sin(2 * np.pi * root_hz * note * k * times_s) / k**1.5 for note in CHORD for k in (1, 2, 3)]
        chords.append(np.sum(tones, axis=0) * np.exp(-1.2 * times_s))
    music = np.concatenate(chords)[:num_samples]
    return music / np.abs(music).max()
