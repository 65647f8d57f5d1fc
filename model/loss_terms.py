"""Terms of the generator's loss in addition to L1 and the co-trained sync discriminator.

A batch begins with some runs of frames (model.sampling) for the terms that need several frames in a row. Every frame is
generated once for all terms.
Shape letters: B batch, N runs, R = 5 frames of a run, S side of the face crop
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from model.expert import MIDDLE, RUN, SyncExpert, lower_halves
from model.samples import Batch
from model.visual_quality import QualityDiscriminator, realism_loss

NAMES = ("expert", "quality", "temporal", "perceptual")


def expert_loss(expert: SyncExpert, runs_N3SS: Tensor, batch: Batch) -> Tensor:
    """The frozen expert's loss on the generated runs, see SyncExpert.generator_loss."""
    sound_NFW = batch.mfcc_BFW[: len(runs_N3SS)][MIDDLE::RUN]
    return expert.generator_loss(lower_halves(runs_N3SS), sound_NFW)


def perceptual_loss(expert: SyncExpert, generated_N3SS: Tensor, real_N3SS: Tensor) -> Tensor:
    """Distance of generated and real runs in the expert's features, 0-dim: the L1 of each layer's maps as a share of
    the real maps' mean, and 1 - cosine of the embeddings.

    The features describe the mouth's motion and little of the identity, so lip motion emerges earlier than with L1.
    Source: Johnson et al. 2016, with layers trained on mouths here instead of a downloaded network's.
    """
    generated, real = lower_halves(generated_N3SS), lower_halves(real_N3SS)
    layers = list(expert.face)
    losses = []
    for layer in layers:
        generated = layer(generated)
        with torch.no_grad():
            real = layer(real)
        if generated.ndim == 4:
            losses.append(F.l1_loss(generated.float(), real.float()) / real.float().mean().clamp_min(1e-3))
    losses.append((1 - F.cosine_similarity(generated.float(), real.float())).mean())
    return torch.stack(losses).mean()


def temporal_loss(generated_N3SS: Tensor, real_N3SS: Tensor) -> Tensor:
    """L1 of the change from each frame of a run to the next: it penalises flicker and a still mouth.

    Shape: (N R, 3, S, S) -> 0-dim in [0, 1]
    """
    generated, real = (part.unflatten(0, (-1, RUN)).diff(dim=1) for part in (generated_N3SS, real_N3SS))
    return F.l1_loss(generated, real)


def terms(
    names: Iterable[str],
    generated_B3SS: Tensor,
    real_B3SS: Tensor,
    batch: Batch,
    num_runs: int,
    *,
    expert: SyncExpert | None,
    quality: QualityDiscriminator | None,
) -> dict[str, Tensor]:
    """The named terms of a batch that begins with `num_runs` runs: 0-dim each."""
    generated_N3SS, real_N3SS = generated_B3SS[: num_runs * RUN], real_B3SS[: num_runs * RUN]
    values = {}
    for name in names:
        if name == "temporal":
            values[name] = temporal_loss(generated_N3SS, real_N3SS)
        elif name == "quality":
            assert quality is not None
            values[name] = realism_loss(quality(generated_B3SS))
        elif name == "expert":
            assert expert is not None
            values[name] = expert_loss(expert, generated_N3SS, batch)
        else:
            assert name == "perceptual" and expert is not None
            values[name] = perceptual_loss(expert, generated_N3SS, real_N3SS)
    return values
