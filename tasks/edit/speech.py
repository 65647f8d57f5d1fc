"""A recording, and what joins need of it: level, pitch and spectrum every 10 ms."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import signal

from model.timing import COLUMN_S, HOP, SAMPLE_RATE_HZ, num_frames_of_sound
from tasks.core.errors import UserError
from tasks.features import audio
from tasks.media import decode, native_rate
from tasks.media.containers import MediaError
from tasks.media.native_rate import SoundFormat

FLOOR_DB = -80.0
HEARD_DB = 50.0  # below its loudest band, a sound has no spectrum
PITCH_HZ = (60.0, 400.0)
PITCH_WINDOW_S = 0.04
BLOCK_COLUMNS = 4096  # that are in memory as windows at a time
PITCH_RATE_HZ = SAMPLE_RATE_HZ // 2  # enough for a pitch, and half the work
VOICED = 0.55  # of a correlation with the sound one period later
OCTAVE = 0.9  # a shorter period is taken where it correlates this well, of the best
RANGE_DB = 40.0  # of speech, below its loudest
RISE_DB = 12.0  # above the noise floor: speech, as tasks/words/align.py has it


@dataclass(frozen=True, eq=False)
class Speech:
    """sound_CN: all channels at `rate_hz`; mono_N: the same as one, 16 kHz, about as long."""

    sound_CN: np.ndarray
    rate_hz: int
    mono_N: np.ndarray

    @property
    def length_s(self) -> float:
        return self.sound_CN.shape[1] / self.rate_hz

    @cached_property
    def mix_N(self) -> np.ndarray:
        """One channel at `rate_hz`.  Shape: -> (N,)"""
        return np.asarray(self.sound_CN.mean(axis=0))

    @cached_property
    def level_C(self) -> np.ndarray:
        """Level of each column, dB of full scale.  Shape: -> (columns,)"""
        padded = np.pad(self.mono_N.astype(np.float64), HOP)
        power = signal.oaconvolve(padded**2, np.hanning(2 * HOP + 1) / HOP, "same")[HOP:-HOP][::HOP]
        return np.maximum(10 * np.log10(np.maximum(power, 1e-12)), FLOOR_DB)

    @cached_property
    def mfcc_CF(self) -> np.ndarray:
        """Without what is too low to be heard beside the speech.  Shape: -> (columns, 12)"""
        log_mel_MC = audio.log_mel(self.mono_N, num_frames_of_sound(len(self.mono_N)))
        heard_MC = np.maximum(log_mel_MC, log_mel_MC.max() - HEARD_DB * np.log(10) / 10)
        return audio.cepstra(heard_MC).T[: len(self.level_C)]

    @cached_property
    def pitch_C(self) -> np.ndarray:
        """Hz of each column; 0 where there is no voice.  Shape: -> (columns,)"""
        return pitch(self.mono_N)

    @cached_property
    def speech_C(self) -> np.ndarray:
        """Which columns are speech, by their level.  Shape: -> (columns,) bool"""
        floor_db, most_db = np.percentile(self.level_C, 10), self.level_C.max()
        return np.asarray(self.level_C >= max(min(floor_db + RISE_DB, most_db - RISE_DB), most_db - RANGE_DB))

    def columns(self, start_s: float, end_s: float) -> slice:
        """The columns of a span; at least one."""
        first = min(max(round(start_s / COLUMN_S), 0), len(self.level_C) - 1)
        return slice(first, max(first + 1, min(round(end_s / COLUMN_S), len(self.level_C))))

    def level_db(self, start_s: float, end_s: float) -> float:
        """How loud the speech of a span is: the 80th percentile, which pauses do not move."""
        return float(np.percentile(self.level_C[self.columns(start_s, end_s)], 80))

    def pitch_hz(self, start_s: float, end_s: float) -> float:
        """Median pitch of a span; 0 if it has no voice."""
        pitch_C = self.pitch_C[self.columns(start_s, end_s)]
        return float(np.median(pitch_C[pitch_C > 0])) if (pitch_C > 0).sum() >= 3 else 0.0


def read(path: Path, like: SoundFormat) -> Speech:
    """The sound of a file, in the rate and channels of another.

    Errors: UserError
    """
    try:
        blocks = list(native_rate.channels(path, like))
        mono_N = decode.decode_sound(path)
    except MediaError as error:
        raise UserError(f"{path}: {error}") from error
    if not blocks:
        raise UserError(f"{path}: no sample of the sound could be decoded")
    return Speech(np.concatenate(blocks, axis=1), like.rate_hz, mono_N)


def pitch(mono_N: np.ndarray) -> np.ndarray:
    """Pitch every 10 ms, by normalised autocorrelation.

    Shape: (N,) at 16 kHz -> (columns,) Hz, 0 where there is no voice
    """
    num_columns = -(-len(mono_N) // HOP)
    low_N = signal.resample_poly(mono_N.astype(np.float64), 1, SAMPLE_RATE_HZ // PITCH_RATE_HZ)
    size, hop = round(PITCH_WINDOW_S * PITCH_RATE_HZ), HOP * PITCH_RATE_HZ // SAMPLE_RATE_HZ
    shortest, longest = (round(PITCH_RATE_HZ / hz) for hz in PITCH_HZ[::-1])
    padded = np.pad(low_N, (size // 2, size + longest))
    frames_CS = np.lib.stride_tricks.sliding_window_view(padded, size + longest)[::hop][:num_columns]
    pitch_C = np.zeros(num_columns)
    for first in range(0, num_columns, BLOCK_COLUMNS):
        block_CS = frames_CS[first : first + BLOCK_COLUMNS]
        rows_CL = _correlation(block_CS - block_CS.mean(axis=1, keepdims=True), size, longest)
        pitch_C[first : first + len(rows_CL)] = [_period_hz(row, shortest) for row in rows_CL]
    return _steady(pitch_C)


def _correlation(frames_CS: np.ndarray, size: int, longest: int) -> np.ndarray:
    """Of the first `size` samples with those each lag later, -1 .. 1.  Shape: -> (C, longest + 1)"""
    num_fft = 2 ** int(np.ceil(np.log2(2 * size + longest)))
    whole = np.fft.rfft(frames_CS, num_fft, axis=1)
    first = np.fft.rfft(frames_CS[:, :size], num_fft, axis=1)
    product_CL = np.fft.irfft(whole * first.conj(), num_fft, axis=1)[:, : longest + 1]
    sums = np.cumsum(np.pad(frames_CS**2, ((0, 0), (1, 0))), axis=1)
    energy_CL = sums[:, size : size + longest + 1] - sums[:, : longest + 1]
    return product_CL / np.sqrt(energy_CL * energy_CL[:, :1] + 1e-9)


def _period_hz(correlation_L: np.ndarray, shortest: int) -> float:
    inner = correlation_L[shortest:-1]
    peaks = np.flatnonzero((inner >= correlation_L[shortest - 1 : -2]) & (inner > correlation_L[shortest + 1 :]))
    if not len(peaks) or inner[peaks].max() < VOICED:
        return 0.0
    first = peaks[inner[peaks] >= OCTAVE * inner[peaks].max()][0]
    before, here, after = correlation_L[shortest + first - 1 : shortest + first + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend else 0.0
    return float(PITCH_RATE_HZ / (shortest + first + shift))


def _steady(pitch_C: np.ndarray) -> np.ndarray:
    """Without single voiced columns and jumps of an octave."""
    voiced = pitch_C > 0
    steady = signal.medfilt(pitch_C, 5) if len(pitch_C) >= 5 else pitch_C
    if not voiced.any():
        return pitch_C
    usual_hz = np.median(pitch_C[voiced])
    fits = (steady > usual_hz / 1.8) & (steady < usual_hz * 1.8)
    return np.where(fits, steady, 0.0)
