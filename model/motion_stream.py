"""Mouth motion from streaming audio: a frame's motion is available `look_ahead_s` after the frame's middle.

The network is that of model.motion; it has learned from the ends of its training pieces to work without the audio that
follows. The voice's level and spectrum are estimated over the last KEPT_S seconds.
"""

import numpy as np
import torch

from model.mfcc import WINDOW_SAMPLES
from model.motion import COLUMNS_PER_STEP, DILATIONS, KERNEL, STEP_S, Motion, at_times, heard, listen
from model.timing import FPS, HOP, SAMPLE_RATE_HZ

LOOK_AHEAD_S = 0.2
KEPT_S = 8.0  # of past audio, for estimating level and spectrum
STEP_SAMPLES = COLUMNS_PER_STEP * HOP
EDGE = 4  # columns: even, and beyond the reach of a column's window and of the pre-emphasis
REACH_S = (KERNEL // 2 * sum(DILATIONS) + 4) * STEP_S  # context of the network on either side


class MotionStream:
    """Push audio as it arrives; each push returns the components of the frames that are now due."""

    def __init__(self, motion: Motion, fps: float = FPS, look_ahead_s: float = LOOK_AHEAD_S) -> None:
        self._motion, self._fps, self._look_ahead_s = motion, fps, look_ahead_s
        self._sound = np.zeros(0, np.float32)
        self._start = 0  # sample number where the kept audio begins; a multiple of STEP_SAMPLES
        self._power_CM = np.zeros((0, motion.p.num_bands), np.float32)  # of the kept audio, as far as it is settled
        self._frame = 0  # number of the next frame to return

    def push(self, sound: np.ndarray) -> np.ndarray:
        """Shape: (samples,) float, 16 kHz -> (n, K), n >= 0"""
        self._sound = np.concatenate([self._sound, sound.astype(np.float32)])
        self._drop_old()
        arrived_s = (self._start + len(self._sound)) / SAMPLE_RATE_HZ
        due = int(np.floor((arrived_s - self._look_ahead_s) * self._fps - 0.5 + 1e-6)) + 1  # frames so far
        frames = np.arange(self._frame, max(due, self._frame))
        self._frame = max(due, self._frame)
        if not len(frames):
            return np.zeros((0, len(self._motion.voice.gain_K)))
        return self._components((frames + 0.5) / self._fps)

    def _drop_old(self) -> None:
        excess = len(self._sound) - int(KEPT_S * SAMPLE_RATE_HZ)
        if excess > 0:
            dropped = -(-excess // STEP_SAMPLES) * STEP_SAMPLES
            self._sound, self._start = self._sound[dropped:], self._start + dropped
            self._power_CM = self._power_CM[dropped // HOP :]

    def _power(self) -> np.ndarray:
        """`listen` of the kept audio; only what is new is computed.  Shape: -> (C, M)"""
        first = max(0, len(self._power_CM) - EDGE)  # columns near the start of a piece lack the audio before them
        new_CM = listen(self._sound[first * HOP :], self._motion.p)
        power_CM = np.concatenate([self._power_CM, new_CM[len(self._power_CM) - first :]])
        settled = max(0, len(self._sound) - WINDOW_SAMPLES) // STEP_SAMPLES * COLUMNS_PER_STEP
        self._power_CM = power_CM[:settled]
        return power_CM

    @torch.no_grad()
    def _components(self, middles_s: np.ndarray) -> np.ndarray:
        features_CM = heard(self._power())
        num_steps = len(features_CM) // COLUMNS_PER_STEP
        kept_middles_s = middles_s - self._start / SAMPLE_RATE_HZ
        first = int(np.clip((kept_middles_s[0] - REACH_S) // STEP_S, 0, max(num_steps - 1, 0)))
        window_1MC = torch.from_numpy(features_CM[first * COLUMNS_PER_STEP :].T.copy())[None]
        bare_HK = self._motion.net(window_1MC)[0].T.numpy()
        return self._motion.as_real(at_times(bare_HK, kept_middles_s - first * STEP_S))
