"""The expert stands at ln 2: is that normal so far, or are the data at fault?

Two checks that need no trained expert. A fresh network is trained on a handful of runs that it may learn by heart: if
it cannot, the settings are at fault. A straight line from sound to mouth opening is fitted at every offset: if there is
none, or the best lies far from 0, then sound and picture of the corpus do not belong together.
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
LEARNT = 0.5  # of ln 2: below it the tiny set is known by heart
NUM_CLIPS = 48  # the line is fitted on at most so many
FEWEST_CLIPS = 8  # with fewer, a line tells nothing
HEARD = 0.2  # correlation of told and true mouth opening on clips the line was not fitted on
FAR = 2  # frames that the best offset may be from 0


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: Literal["normal so far", "data problem", "settings problem"]
    line: str


def diagnose(clips: Clips, p: Params) -> Verdict:
    """What the plateau means, and what to do, in one line."""
    loss = tiny_set_loss(clips, p)
    tiny = f"a tiny set is {'learnt' if loss < LEARNT * expert.PLATEAU else 'not learnt'} by heart (loss {loss:.2f})"
    if loss >= LEARNT * expert.PLATEAU:
        return Verdict("settings problem", f"settings problem: {tiny} in {TINY_STEPS} steps; change expert.lr")
    if len(clips) < FEWEST_CLIPS:
        return Verdict("normal so far", f"normal so far: {tiny}; {len(clips)} clips are too few to judge the data by")
    curve = sound_to_mouth(clips, p.expert.max_offset)
    best = int(curve.argmax()) - p.expert.max_offset
    line = f"a line from sound to mouth is best at offset {best:+d} frames, correlation {curve.max():.2f}"
    if curve.max() < HEARD:
        advice = "the sound does not tell the mouth at any offset; look at the clips of reports/preprocess.json"
        return Verdict("data problem", f"data problem: {line}; {advice}")
    if abs(best) > FAR:
        late = "late" if best > 0 else "early"
        return Verdict("data problem", f"data problem: {line}: the sound is {late}; correct it before training")
    return Verdict("normal so far", f"normal so far: {tiny}, {line}; let it train longer (expert.num_steps)")


def tiny_set_loss(clips: Clips, p: Params) -> float:
    """Pair loss of a fresh expert after TINY_STEPS steps on one batch and no other. Leaves torch's randomness alone."""
    e = p.expert
    coming = batches(clips, p, 0)
    batch = next(coming)
    with torch.random.fork_rng():
        torch.manual_seed(seeds.derive(p.seed, "expert check") % 2**32)
        network = SyncExpert(p.model.width, p.faces.size)
        optimizer = adam(network, e.lr)
        for _ in range(TINY_STEPS):
            loss, pair = step_loss(
                network, batch, precision=e.precision, negative_min_frames=e.negative_min_frames,
                other_clip_share=e.other_clip_share, ranking_weight=e.ranking_weight,
            )  # fmt: skip
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
