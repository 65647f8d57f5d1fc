"""The mouth's motion while the sound still comes in: what a frame shows is said `look_ahead_s` after its middle.

The network is the one of model.motion; the ends of its training pieces taught it to do without the sound that has not
come yet. Level and spectrum of the voice are those of the last seconds.
"""

import numpy as np
import torch

from model.motion import COLUMNS_PER_STEP, DILATIONS, KERNEL, STEP_S, Motion, at_times, heard, listen
from model.timing import FPS, HOP, SAMPLE_RATE_HZ

LOOK_AHEAD_S = 0.2
KEPT_S = 8.0  # of the past: level and spectrum are taken from it
STEP_SAMPLES = COLUMNS_PER_STEP * HOP
REACH_S = (KERNEL // 2 * sum(DILATIONS) + 4) * STEP_S  # of the network, to either side


class MotionStream:
    """Push sound as it comes; each push gives the components of the frames that have become due."""

    def __init__(self, motion: Motion, fps: float = FPS, look_ahead_s: float = LOOK_AHEAD_S) -> None:
        self._motion, self._fps, self._look_ahead_s = motion, fps, look_ahead_s
        self._sound = np.zeros(0, np.float32)
        self._start = 0  # sample at which the kept sound begins; a multiple of STEP_SAMPLES
        self._frame = 0  # the next to be said

    def push(self, sound: np.ndarray) -> np.ndarray:
        """Shape: (samples,) float, 16 kHz -> (n, K), n >= 0"""
        self._sound = np.concatenate([self._sound, sound.astype(np.float32)])
        self._forget()
        arrived_s = (self._start + len(self._sound)) / SAMPLE_RATE_HZ
        due = int(np.floor((arrived_s - self._look_ahead_s) * self._fps - 0.5 + 1e-6)) + 1  # frames in all
        frames = np.arange(self._frame, max(due, self._frame))
        self._frame = max(due, self._frame)
        if not len(frames):
            return np.zeros((0, len(self._motion.voice.gain_K)))
        return self._say((frames + 0.5) / self._fps)

    def _forget(self) -> None:
        more = len(self._sound) - int(KEPT_S * SAMPLE_RATE_HZ)
        if more > 0:
            gone = -(-more // STEP_SAMPLES) * STEP_SAMPLES
            self._sound, self._start = self._sound[gone:], self._start + gone

    @torch.no_grad()
    def _say(self, middles_s: np.ndarray) -> np.ndarray:
        heard_CM = heard(listen(self._sound, self._motion.p))
        num_steps = len(heard_CM) // COLUMNS_PER_STEP
        wanted_s = middles_s - self._start / SAMPLE_RATE_HZ
        first = int(np.clip((wanted_s[0] - REACH_S) // STEP_S, 0, max(num_steps - 1, 0)))
        window_1MC = torch.from_numpy(heard_CM[first * COLUMNS_PER_STEP :].T.copy())[None]
        bare_HK = self._motion.net(window_1MC)[0].T.numpy()
        return self._motion.as_real(at_times(bare_HK, wanted_s - first * STEP_S))
