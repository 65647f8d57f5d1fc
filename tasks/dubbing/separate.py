"""Driving audio with background music or noise: separates the speech. The output's own sound stays as it is.

No weights are needed. The median over half a second at each frequency, longer than any vowel, estimates the
background; a Wiener gain attenuates it.

Source: medians as in Fitzgerald's harmonic-percussive separation (2010); the gain of Wiener's filter.
`benchmarks/ear.py` measures the effect on the mouth.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.ndimage import median_filter

from model import loudness, timing

NEEDED_DB = 28.0  # level of loud frames above quiet ones: about 35 for a voice alone, 25 with music 20 dB below it
SPECTRUM, STEP = 512, 128  # samples: 32 ms, 8 ms
STEADY = 63  # steps, 0.5 s: a vowel is shorter
STRENGTH = 1.5  # factor on the estimated background
FLOOR = 0.1  # least gain, in amplitude
PIECE = 20 * timing.SAMPLE_RATE_HZ  # samples separated at a time
CONTEXT = STEP * (STEADY // 2 + 1) + SPECTRUM  # samples on either side that influence a piece
assert PIECE % STEP == CONTEXT % STEP == 0


def needs_separating(blocks: Iterable[np.ndarray]) -> bool:
    """Whether the pauses are not silent: there is background audio.  Shape: 16 kHz mono blocks"""
    return spread_db(blocks) < NEEDED_DB


def spread_db(blocks: Iterable[np.ndarray]) -> float:
    """`loudness.level_spread_db` of audio in blocks."""
    levels, rest = [np.zeros(0)], np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        num_frames = len(rest) // timing.SAMPLES_PER_FRAME
        if num_frames:
            whole = timing.num_samples(num_frames)
            levels.append(loudness.frame_levels_db(rest[:whole], num_frames))
            rest = rest[whole:]
    levels_T = np.concatenate(levels)
    return loudness.level_spread_db(levels_T) if len(levels_T) else float("inf")


def separated(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The speech, piece by piece, with the same result as for the whole.  Shape: yields (n,) float32, all samples"""
    source, held, before = iter(blocks), np.zeros(0, np.float32), 0  # `before`: samples in held before the next piece
    ended = False
    while not ended or len(held) > before:
        parts, have = [held], len(held)
        while have < before + PIECE + CONTEXT and not ended:
            block = next(source, None)
            ended = block is None
            if block is not None:
                parts.append(block)
                have += len(block)
        held = np.concatenate(parts)
        num = min(PIECE, len(held) - before)
        if num <= 0:
            return
        piece = held[: before + num + CONTEXT]
        yield of_piece(piece)[before : before + num]
        kept = min(CONTEXT, before + num)
        held, before = held[before + num - kept :], kept


def of_piece(sound: np.ndarray) -> np.ndarray:
    """Shape: (n,) -> (n,) float32"""
    padded = np.pad(sound, (SPECTRUM, SPECTRUM + -len(sound) % STEP))
    window = np.hanning(SPECTRUM + 1)[:-1]
    pieces = np.lib.stride_tricks.sliding_window_view(padded, SPECTRUM)[::STEP]
    spectrum_TF = np.fft.rfft(pieces * window, axis=1)
    power_TF = np.square(np.abs(spectrum_TF)).astype(np.float32)
    # one frequency at a time: scipy is 12 times faster in one dimension
    steady_FT = [median_filter(power_T, size=STEADY, mode="nearest") for power_T in np.ascontiguousarray(power_TF.T)]
    under_TF = STRENGTH * np.minimum(np.stack(steady_FT, axis=1), power_TF)
    gain_TF = np.sqrt(np.clip(1 - under_TF / np.maximum(power_TF, 1e-20), FLOOR**2, 1))
    back = np.fft.irfft(spectrum_TF * gain_TF, SPECTRUM, axis=1) * window
    speech = np.zeros(len(padded))
    for k in range(SPECTRUM // STEP):  # every fourth piece begins where the one before ends
        some = back[k :: SPECTRUM // STEP].ravel()
        speech[k * STEP : k * STEP + len(some)] += some
    return (speech[SPECTRUM : SPECTRUM + len(sound)] / (np.square(window).sum() / STEP)).astype(np.float32)
