"""Another pitch and another length for a stretch of speech: overlapping grains of two periods (TD-PSOLA).

Source: Moulines and Charpentier 1990, Speech Communication 9
"""

import numpy as np

from model.timing import COLUMN_S
from tasks.edit.speech import Speech

UNVOICED_S = 0.008  # distance of grains where there is no period
THIN = 0.2  # where fewer windows overlap than this, the sum is not raised to one
SAME = 1e-3  # a change of pitch or length below it is none


def changed(speech: Speech, first: int, last: int, num_out: int, pitch: float) -> np.ndarray:
    """Samples first .. last - 1 of a recording in `num_out` samples, its pitch times `pitch`.

    Samples outside the recording count as silence. Nothing to change gives the samples themselves.
    Shape: -> (channels, num_out)
    """
    if abs(pitch - 1) < SAME and num_out == last - first:
        return within(speech.sound_CN, first, last)
    marks_M, periods_M = marks(speech, first, last)
    stretch = num_out / (last - first)
    longest = int(periods_M.max()) + 1
    padded_CN = within(speech.sound_CN, first - longest, last + longest)
    room = num_out + 4 * longest + 2  # the last window begins before num_out + 3 longest
    out_CN = np.zeros((len(padded_CN), room))
    weight_N = np.zeros(room)
    at = 0.0
    while at < num_out + longest:
        number = int(np.abs(marks_M - at / stretch).argmin())
        half = round(periods_M[number])
        window = np.hanning(2 * half + 1)
        place = round(at) + 2 * longest - half
        source = int(marks_M[number]) + longest - half
        source = min(max(source, 0), padded_CN.shape[1] - len(window))
        out_CN[:, place : place + len(window)] += padded_CN[:, source : source + len(window)] * window
        weight_N[place : place + len(window)] += window
        voiced = speech.pitch_C[_column(speech, first + marks_M[number])] > 0
        at += half / pitch if voiced else half
    out_CN /= np.maximum(weight_N, THIN)
    return out_CN[:, 2 * longest : 2 * longest + num_out].astype(speech.sound_CN.dtype)


def marks(speech: Speech, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Where grains lie, from `first`, a period apart and at the highest sample near; and their periods in samples.

    Shape: -> (M,), (M,)
    """
    mix_N = within(speech.mix_N[None], first, last)[0]
    places, periods, at = [0], [], 0.0
    while True:
        hz = speech.pitch_C[_column(speech, first + at)]
        period = speech.rate_hz / hz if hz > 0 else UNVOICED_S * speech.rate_hz
        periods.append(period)
        at += period
        if at >= last - first:
            return np.array(places), np.array(periods)
        if hz > 0:
            near = slice(max(round(at - period / 5), places[-1] + 1), round(at + period / 5) + 1)
            at = near.start + int(mix_N[near].argmax()) if len(mix_N[near]) else at
        places.append(round(at))


def within(sound_CN: np.ndarray, first: int, last: int) -> np.ndarray:
    """Samples first .. last - 1, silence outside.  Shape: (C, N) -> (C, last - first)"""
    out_CN = np.zeros((len(sound_CN), last - first), sound_CN.dtype)
    low, high = min(max(first, 0), sound_CN.shape[1]), min(max(last, 0), sound_CN.shape[1])
    if high > low:
        out_CN[:, low - first : high - first] = sound_CN[:, low:high]
    return out_CN


def _column(speech: Speech, sample: float) -> int:
    return min(max(round(sample / speech.rate_hz / COLUMN_S), 0), len(speech.pitch_C) - 1)
