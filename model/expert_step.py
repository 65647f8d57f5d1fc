"""One step of the sync expert's training: what a batch of runs is, and what is minimised on it.

Shape letters: B runs, R = 5 frames of a run, S side of the face crop, F MFCC coefficients, W MFCC columns
"""

from typing import NamedTuple

import torch
from torch import Tensor

from model.expert import SyncExpert, lower_halves, pair_loss, pairs, ranking_loss
from model.samples import pictures


class RunBatch(NamedTuple):
    """B runs of frames, each with the sound of its middle frame, and where it is from.

    Shape: faces_BRSS3 (B, 5, S, S, 3) uint8; mfcc_BFW (B, 12, 35) float32; clip_B, frame_B (B,) int
    """

    faces_BRSS3: Tensor
    mfcc_BFW: Tensor
    clip_B: Tensor
    frame_B: Tensor


def step_loss(
    network: SyncExpert,
    batch: RunBatch,
    *,
    precision: str,
    negative_min_frames: int,
    other_clip_share: float,
    ranking_weight: float,
) -> tuple[Tensor, Tensor]:
    """(what is minimised, the pair loss in it, which is ln 2 for who knows nothing), 0-dim.  See model.expert."""
    device = network.scale.device
    batch = RunBatch(*(part.to(device, non_blocking=True) for part in batch))
    faces_BCHW = lower_halves(pictures(batch.faces_BRSS3.flatten(0, 1)))
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        faces_BD, sounds_BD = network.embed_faces(faces_BCHW), network.embed_audio(batch.mfcc_BFW)
    logit_BB = network.logit(faces_BD @ sounds_BD.T)
    which = pairs(batch.clip_B, batch.frame_B, negative_min_frames)
    pair = pair_loss(logit_BB, which, other_clip_share)
    return pair + ranking_weight * ranking_loss(logit_BB, which), pair.detach()
