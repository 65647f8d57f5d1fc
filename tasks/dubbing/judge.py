"""How well the new mouths fit the new audio, second by second, by the sync expert: where to check by eye."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model import timing
from model.expert import RUN
from tasks.dubbing.plan import Plan
from tasks.inference.sync_meter import SyncMeter

MAX_OFFSET = 5  # frames of 25 a second


@dataclass
class Judge:
    """mfcc_FW: of the driving audio, from the output's first frame on."""

    meter: SyncMeter
    plan: Plan
    mfcc_FW: np.ndarray

    def spans(self, made: Mapping[int, np.ndarray]) -> list[dict[str, Any]]:
        """One entry for each second of consecutive changed frames.  `made`: output frame -> its generated face"""
        spans: list[dict[str, Any]] = []
        numbers = np.array(sorted(made), int)
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1):
            if len(run):
                spans += self.one_run(run, made)
        return spans

    def one_run(self, run: np.ndarray, made: Mapping[int, np.ndarray]) -> list[dict[str, Any]]:
        """`run`: consecutive output frames; the expert gets those on screen at 25 frames/s."""
        low = int(np.ceil(self.plan.times_s[run[0]] * timing.FPS - 0.5))
        high = int(np.floor(self.plan.ends_s[run[-1]] * timing.FPS + 0.5))
        at = np.arange(max(low, 0), min(high, self.mfcc_FW.shape[1] // timing.COLUMNS_PER_FRAME))
        if len(at) < RUN:
            return []
        shown = np.searchsorted(self.plan.times_s, (at + 0.5) / timing.FPS, side="right") - 1
        faces_TSS3 = np.stack([made[int(n)] for n in np.clip(shown, run[0], run[-1])])
        columns = slice(at[0] * timing.COLUMNS_PER_FRAME, (at[-1] + 1) * timing.COLUMNS_PER_FRAME)
        distances_NK = self.meter.distances(faces_TSS3, self.mfcc_FW[:, columns], MAX_OFFSET)
        fits_N = self.meter.probability(distances_NK[:, MAX_OFFSET])
        seconds = [fits_N[start : start + timing.FPS] for start in range(0, len(fits_N), timing.FPS)]
        return [
            {
                "from_s": round((int(at[0]) + k * timing.FPS) / timing.FPS, 2),
                "to_s": round((int(at[0]) + k * timing.FPS + len(fits) + RUN - 1) / timing.FPS, 2),
                "fits": round(float(fits.mean()), 3),
            }
            for k, fits in enumerate(seconds)
        ]
