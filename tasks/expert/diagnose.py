"""Diagnosis of an expert whose loss stays at ln 2: normal so far, a data problem, or a settings problem.

Two checks that need no trained expert. A new network is trained on one small batch: if it cannot overfit it, the
settings are at fault. A linear probe from sound to mouth opening is fitted at every offset: if it has no correlation,
or its best offset is far from 0, then sound and picture of the corpus do not belong together.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from model import expert, faces, probe, samples, seeds
from model.expert import SyncExpert, step_loss
from model.optim import adam, update
from model.params import Params
from tasks.expert.batches import batches
from tasks.loading.clips import Clips

TINY_STEPS = 60
LEARNT = 0.5  # of ln 2: below it the tiny set is overfitted
NUM_CLIPS = 48  # at most, for the probe
FEWEST_CLIPS = 8  # with fewer clips the probe is not reliable
MIN_CORRELATION = 0.2  # of predicted and true mouth opening on clips the probe was not fitted on
FAR = 2  # frames that the best offset may be from 0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    kind: Literal["normal so far", "data problem", "settings problem"]
    line: str


def diagnose(clips: Clips, p: Params) -> Diagnosis:
    """What the plateau means, and what to do, in one line."""
    loss = tiny_set_loss(clips, p)
    learnt = loss < LEARNT * expert.PLATEAU
    tiny = f"the network {'overfits' if learnt else 'cannot overfit'} a tiny set (loss {loss:.2f})"
    if not learnt:
        return Diagnosis("settings problem", f"settings problem: {tiny} in {TINY_STEPS} steps; change expert.lr")
    if len(clips) < FEWEST_CLIPS:
        return Diagnosis("normal so far", f"normal so far: {tiny}; {len(clips)} clips are too few to check the data")
    curve = sound_to_mouth(clips, p.expert.max_offset)
    best = int(curve.argmax()) - p.expert.max_offset
    line = f"a linear probe from sound to mouth is best at offset {best:+d} frames, correlation {curve.max():.2f}"
    if curve.max() < MIN_CORRELATION:
        advice = "the sound does not predict the mouth at any offset; check the clips of reports/preprocess.json"
        return Diagnosis("data problem", f"data problem: {line}; {advice}")
    if abs(best) > FAR:
        late = "late" if best > 0 else "early"
        return Diagnosis("data problem", f"data problem: {line}: the sound is {late}; correct it before training")
    return Diagnosis("normal so far", f"normal so far: {tiny}, {line}; train longer (expert.num_steps)")


def tiny_set_loss(clips: Clips, p: Params) -> float:
    """Pair loss of a new expert after TINY_STEPS steps on a single batch. Does not change torch's random state."""
    batch = next(batches(clips, p, 0))
    with torch.random.fork_rng():
        torch.manual_seed(seeds.derive(p.seed, "expert check") % 2**32)
        network = SyncExpert(p.model.width, p.faces.size)
        optimizer = adam(network, p.expert.lr)
        for _ in range(TINY_STEPS):
            loss, pair = step_loss(network, batch, p.expert)
            update(network, optimizer, loss)
    return pair.item()


def sound_to_mouth(clips: Clips, max_offset: int) -> np.ndarray:
    """Correlation at each offset, see model.probe.  Shape: -> (2 max_offset + 1,)"""
    sound, mouth = [], []
    for number in np.unique(np.linspace(0, len(clips) - 1, NUM_CLIPS).astype(int)):
        clip = clips[int(number)]
        windows_TFW = samples.windows(clip.mfcc_FW, np.arange(len(clip.faces_TSS3)))
        sound.append(windows_TFW.reshape(len(windows_TFW), -1))
        mouth.append(faces.aperture(clip.landmarks_T682))
    return probe.offset_curve(sound, mouth, max_offset)
