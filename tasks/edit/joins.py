"""Where two stretches of sound are joined, and how: at the quietest and most alike place near, by a short crossfade."""

from dataclasses import dataclass

import numpy as np

from model.timing import COLUMN_S
from tasks.edit import psola
from tasks.edit.speech import Speech

FADE_S = 0.01
SEARCH_S = 0.002  # distance of the places that are tried
SHIFT_S = 0.004  # a join may move by so much, for waves that fit: half a period of 125 Hz
ALIKE = 0.3  # correlation of the waves from which a shift is worth it
# the cost of a place: how loud it is, by how much level (dB), spectrum and pitch jump there, and how far it lies off
LOUD, JUMP, SPECTRUM, PITCH, OFF = 1.0, 0.25, 0.1, 20.0, 0.3  # a dB, a dB, a unit, an octave, 10 ms


@dataclass(frozen=True, slots=True)
class Window:
    """Where a cut may lie, and where it lies best if all is equally quiet; s."""

    low_s: float
    best_s: float
    high_s: float

    @property
    def times_s(self) -> np.ndarray:
        num = round((self.high_s - self.low_s) / SEARCH_S)
        return np.linspace(self.low_s, self.high_s, num + 1)


def fixed(time_s: float) -> Window:
    return Window(time_s, time_s, time_s)


def place(
    left: Speech, left_window: Window, right: Speech, right_window: Window, step_s: float | None = None
) -> tuple[float, float]:
    """End of the left stretch and start of the right one, s in their recordings.

    step_s: the two, in one recording, are a multiple of it apart, the right one later
    """
    x_N, y_M = left_window.times_s, right_window.times_s
    if step_s is None:
        x_P, y_P = (grid.ravel() for grid in np.meshgrid(x_N, y_M, indexing="ij"))
    else:
        steps = np.arange(np.ceil((y_M[0] - x_N[-1]) / step_s - 1e-6), np.floor((y_M[-1] - x_N[0]) / step_s + 1e-6) + 1)
        steps = steps[steps >= 1]
        if not len(steps):  # windows narrower than a step: the nearest
            steps = np.array([max(1, round((right_window.best_s - left_window.best_s) / step_s))])
        x_P, k_P = (grid.ravel() for grid in np.meshgrid(x_N, steps, indexing="ij"))
        y_P = x_P + k_P * step_s
        inside = (y_P >= y_M[0] - 1e-6) & (y_P <= y_M[-1] + 1e-6)
        if inside.any():
            x_P, y_P = x_P[inside], y_P[inside]
    off_P = np.abs(x_P - left_window.best_s) + np.abs(y_P - right_window.best_s)
    best = int((cost(left, x_P, right, y_P) + OFF * off_P / COLUMN_S).argmin())
    return float(x_P[best]), float(y_P[best])


def cost(left: Speech, x_P: np.ndarray, right: Speech, y_P: np.ndarray) -> np.ndarray:
    """How much a join of the left recording at x with the right one at y would be heard.  Shape: (P,), (P,) -> (P,)"""
    x_db, y_db = (np.interp(t / COLUMN_S, np.arange(len(s.level_C)), s.level_C) for s, t in ((left, x_P), (right, y_P)))
    x_C, y_C = _columns(left, x_P), _columns(right, y_P)
    spectrum_P = np.linalg.norm(left.mfcc_CF[x_C] - right.mfcc_CF[y_C], axis=1)
    x_hz, y_hz = left.pitch_C[x_C], right.pitch_C[y_C]
    voiced_P = (x_hz > 0) & (y_hz > 0)
    octaves_P = np.abs(np.log2(np.where(voiced_P, x_hz, 1) / np.where(voiced_P, y_hz, 1)))
    return LOUD * (x_db + y_db) / 2 + JUMP * np.abs(x_db - y_db) + SPECTRUM * spectrum_P + PITCH * octaves_P


def _columns(speech: Speech, times_P: np.ndarray) -> np.ndarray:
    return np.clip(np.round(times_P / COLUMN_S).astype(int), 0, min(len(speech.level_C), len(speech.mfcc_CF)) - 1)


def shift(left_CN: np.ndarray, x: int, right_CN: np.ndarray, y: int, rate_hz: int, limit_s: float = SHIFT_S) -> int:
    """By how many samples the start in the right sound moves for its wave to fit the left one's; 0 for noise."""
    half, most = round(FADE_S / 2 * rate_hz), round(limit_s * rate_hz)
    one_N = psola.within(left_CN, x - half, x + half).mean(axis=0, dtype=np.float64)
    wide_N = psola.within(right_CN, y - half - most, y + half + most).mean(axis=0, dtype=np.float64)
    product_S = np.correlate(wide_N, one_N, "valid")
    sums = np.cumsum(np.pad(wide_N**2, (1, 0)))
    energy_S = sums[2 * half :] - sums[: -2 * half]
    alike_S = product_S / np.sqrt(energy_S * (one_N**2).sum() + 1e-9)
    best = int(alike_S.argmax())
    return best - most if alike_S[best] >= max(ALIKE, alike_S[most] + 0.05) else 0


def crossfade(left_CF: np.ndarray, right_CF: np.ndarray) -> np.ndarray:
    """From one sound to the other at equal power, whether their waves are alike or not.  Shape: (C, F), (C, F)"""
    falls_F = np.cos(np.linspace(0, np.pi / 2, left_CF.shape[1] + 2)[1:-1])
    rises_F = falls_F[::-1]
    power = np.sqrt((left_CF.astype(np.float64) ** 2).sum() * (right_CF.astype(np.float64) ** 2).sum())
    alike = max(0.0, float((left_CF.astype(np.float64) * right_CF).sum() / (power + 1e-12)))
    return ((falls_F * left_CF + rises_F * right_CF) / np.sqrt(1 + 2 * alike * falls_F * rises_F)).astype(left_CF.dtype)


class Track:
    """A sound made of stretches of others, each joined to the one before by a crossfade around the join."""

    def __init__(self, num_channels: int, rate_hz: int) -> None:
        self.rate_hz, self.num_samples = rate_hz, 0
        self._half = round(FADE_S / 2 * rate_hz)
        self.joins_s: list[float] = []
        self._parts: list[np.ndarray] = []
        self._after = np.zeros((num_channels, 0), np.float32)  # how the last stretch goes on

    def append(self, sound_CN: np.ndarray, first: int, last: int) -> None:
        """Samples first .. last - 1, at least a crossfade of them."""
        half = self._half
        if not self._parts:
            self._parts.append(psola.within(sound_CN, first, last))
        else:
            self.joins_s.append(self.num_samples / self.rate_hz)
            before = self._parts.pop()
            taken = min(half, before.shape[1], last - first)
            left = np.concatenate([before[:, before.shape[1] - taken :], self._after[:, :taken]], axis=1)
            mixed = crossfade(left, psola.within(sound_CN, first - taken, first + taken))
            self._parts += [before[:, : before.shape[1] - taken], mixed]
            self._parts.append(psola.within(sound_CN, first + taken, last))
        self._after = psola.within(sound_CN, last, last + half)
        self.num_samples += last - first

    def tail(self) -> np.ndarray:
        """The last samples and how they would go on, with the join in the middle.  Shape: -> (channels, 2 half)"""
        recent = np.concatenate(self._parts[-3:], axis=1) if self._parts else self._after[:, :0]
        return np.concatenate(
            [psola.within(recent, recent.shape[1] - self._half, recent.shape[1]), self._after], axis=1
        )

    @property
    def sound_CN(self) -> np.ndarray:
        return np.concatenate(self._parts, axis=1)
