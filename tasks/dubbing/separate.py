"""What the network hears of a sound: as it is, or, where music or noise lies under the words, the words alone.

What people hear is never touched by this. Nothing is downloaded: what sounds on while a voice would have moved on, the
median of half a second at each frequency, is taken for music or noise, and weakened by a Wiener gain.

Source: the medians of Fitzgerald's harmonic-percussive separation (2010); the gain of Wiener's filter.
`benchmarks/ear.py` measures what it does for the mouth.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.ndimage import median_filter

from model import loudness, timing

NEEDED_DB = 28.0  # loud frames above quiet ones: a voice alone has some 35, one with music 20 dB below it 25
SPECTRUM, STEP = 512, 128  # samples: 32 ms, 8 ms
STEADY = 63  # steps, 0.5 s: a vowel is shorter
STRENGTH = 1.5  # the median is taken for so much more than it is
FLOOR = 0.1  # of the amplitude: never less than this stays
PIECE = 20 * timing.SAMPLE_RATE_HZ  # samples separated at a time
CONTEXT = STEP * (STEADY // 2 + 1) + SPECTRUM  # samples on either side that decide with
assert PIECE % STEP == CONTEXT % STEP == 0


def needs_separating(blocks: Iterable[np.ndarray]) -> bool:
    """Whether something sounds in the pauses too.  Shape: 16 kHz mono blocks"""
    return spread_db(blocks) < NEEDED_DB


def spread_db(blocks: Iterable[np.ndarray]) -> float:
    """`quality.level_spread_db` of sound in blocks."""
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
    """The words of a sound, as many samples, piece by piece and yet as if at once.  Shape: yields (n,) float32"""
    source, held, before = iter(blocks), np.zeros(0, np.float32), 0  # held: from `before` samples before the next piece
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
    made = np.zeros(len(padded))
    for k in range(SPECTRUM // STEP):  # every fourth piece lies beside the one before
        some = back[k :: SPECTRUM // STEP].ravel()
        made[k * STEP : k * STEP + len(some)] += some
    return (made[SPECTRUM : SPECTRUM + len(sound)] / (np.square(window).sum() / STEP)).astype(np.float32)
