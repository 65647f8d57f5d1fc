"""The sound of a room and of a voice in it: room tone for pauses, level and equaliser that make one voice sound as
another.
"""

import numpy as np
from scipy import signal

from model.timing import COLUMN_S, SAMPLE_RATE_HZ
from tasks.edit.speech import Speech

WINDOW = 1024
MOST_WINDOWS = 1000  # of a recording, evenly spread, that a spectrum is the mean of
QUIET_PERCENT = 10
NUM_TAPS = 511
OCTAVES = 1 / 3  # spectra are compared in bands of so many
MOST_DB = 12.0  # that the equaliser raises or lowers a band
LOW_HZ, HIGH_HZ = 80.0, 7500.0  # below and above, the equaliser does what it does there
SEED = 0


def room_tone(speech: Speech, num_samples: int) -> np.ndarray:
    """Noise with the spectrum of a recording's quietest tenth, without its beat.  Shape: -> (channels, num_samples)"""
    quiet = speech.level_C <= np.percentile(speech.level_C, QUIET_PERCENT)
    power_CK = _power(speech, quiet)
    random = np.random.default_rng(SEED)
    num_windows = -(-num_samples // (WINDOW // 2)) + 2
    phase_WK = random.uniform(0, 2 * np.pi, (num_windows, WINDOW // 2 + 1))
    window = np.sqrt(signal.windows.hann(WINDOW, sym=False))
    out_CN = np.zeros((len(power_CK), (num_windows + 1) * WINDOW // 2))
    for number, phase_K in enumerate(phase_WK):
        at = number * WINDOW // 2
        spectrum_CK = np.sqrt(power_CK) * np.exp(1j * phase_K)
        out_CN[:, at : at + WINDOW] += np.fft.irfft(spectrum_CK, axis=1) * window
    return out_CN[:, WINDOW // 2 : WINDOW // 2 + num_samples].astype(np.float32)


def equaliser(voice: Speech, source: Speech) -> np.ndarray:
    """The filter that gives a voice the source's long-term spectrum, where both say the same.  Shape: -> (taps,)"""
    gain_db = _bands_db(source) - _bands_db(voice)
    hz = np.fft.rfftfreq(WINDOW, 1 / voice.rate_hz)
    heard = (hz >= LOW_HZ) & (hz <= HIGH_HZ)
    gain_db = np.clip(gain_db - gain_db[heard].mean(), -MOST_DB, MOST_DB)
    gain_db = np.interp(hz, hz[heard], gain_db[heard])
    return np.asarray(signal.firwin2(NUM_TAPS, hz / hz[-1], 10 ** (gain_db / 20)))


def filtered(speech: Speech, taps: np.ndarray) -> Speech:
    sound_CN = signal.fftconvolve(speech.sound_CN, taps[None], "same", axes=1).astype(np.float32)
    return of_sound(sound_CN, speech.rate_hz)


def of_sound(sound_CN: np.ndarray, rate_hz: int) -> Speech:
    mono_N = signal.resample_poly(sound_CN.mean(axis=0), SAMPLE_RATE_HZ, rate_hz)
    return Speech(sound_CN, rate_hz, mono_N.astype(np.float32))


def louder(speech: Speech, gain_db: float, start_s: float, end_s: float) -> Speech:
    """A part of a recording, times a gain; it starts on a whole column."""
    gain = np.float32(10 ** (gain_db / 20))
    first, last = max(0, round(start_s * speech.rate_hz)), round(end_s * speech.rate_hz)
    mono = slice(max(0, round(start_s * SAMPLE_RATE_HZ)), round(end_s * SAMPLE_RATE_HZ))
    return Speech(speech.sound_CN[:, first:last] * gain, speech.rate_hz, speech.mono_N[mono] * gain)


def _power(speech: Speech, columns: np.ndarray) -> np.ndarray:
    """Mean power spectrum of some columns of each channel.  Shape: -> (channels, bins)"""
    hop = round(COLUMN_S * speech.rate_hz)
    padded = np.pad(speech.sound_CN, ((0, 0), (WINDOW // 2, WINDOW)))
    frames_CTW = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1)[:, ::hop]
    chosen = np.flatnonzero(columns[: frames_CTW.shape[1]])
    chosen = chosen[:: max(1, len(chosen) // MOST_WINDOWS)]
    window = np.sqrt(signal.windows.hann(WINDOW, sym=False))
    return np.asarray((np.abs(np.fft.rfft(frames_CTW[:, chosen] * window, axis=2)) ** 2).mean(axis=1)) * 2


def _bands_db(speech: Speech) -> np.ndarray:
    """Smoothed long-term spectrum of the speech, dB.  Shape: -> (bins,)"""
    power_K = _power(speech, speech.speech_C).mean(axis=0)
    hz = np.fft.rfftfreq(WINDOW, 1 / speech.rate_hz)
    sums = np.concatenate([[0.0], np.cumsum(power_K)])
    low = np.searchsorted(hz, hz * 2 ** (-OCTAVES / 2))
    high = np.maximum(np.searchsorted(hz, hz * 2 ** (OCTAVES / 2), side="right"), low + 1)
    return np.asarray(10 * np.log10(np.maximum((sums[high] - sums[low]) / (high - low), 1e-12)))
