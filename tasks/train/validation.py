"""Validation of a generator during training: figures and a strip, always on the same samples of split `val`."""

from dataclasses import dataclass

import numpy as np
import torch

from model import loss_terms, losses
from model.expert import RUN
from model.gan import Gan
from model.params import TrainParams
from model.samples import Batch, frame_bytes, generator_input, mask_lower_half, pictures
from tasks.loading import batches as loader
from tasks.loading.clips import Clips

STRIP_SAMPLES = 8
MOTION_RUN_FRAMES = 12  # frames in a row in which motion is measured
SAMPLES_PER_RUN = 32  # single samples per run


@dataclass(frozen=True, slots=True)
class Fixed:
    """`batches`: single samples.  `runs`: consecutive frames, one run per batch."""

    batches: list[Batch]
    runs: list[Batch]


def fixed(clips: Clips, p: TrainParams, seed: int) -> Fixed:
    num_runs = max(1, p.val_samples // SAMPLES_PER_RUN)
    return Fixed(
        loader.fixed_batches(clips, p, p.val_samples, seed),
        loader.fixed_runs(clips, p, num_runs, MOTION_RUN_FRAMES, seed),
    )


def measure(gan: Gan, on: Fixed) -> dict[str, float]:
    """Losses on the fixed samples, and how much the sound changes the mouth.

    val_audio_effect: mean absolute difference inside the lip box between the faces generated from the right and the
    wrong sound, as a share of that between generated and true; near 0 the generator ignores the audio.
    val_motion_ratio: see `motion_ratio`.
    """
    sums: dict[str, float] = {}
    num = sum(len(batch.target_BSS3) for batch in on.batches)
    for batch in on.batches:
        batch = batch.to(gan.device)
        share = len(batch.target_BSS3) / num
        values = {name: value.item() for name, value in gan.measure(batch).items()}
        faces_B6SS = generator_input(pictures(batch.identity_BSS3), pictures(batch.target_BSS3))
        right, wrong = (gan.generate(faces_B6SS, sound) for sound in (batch.mfcc_BFW, batch.negative_BFW))
        values["effect"] = losses.mouth_l1(right, wrong, batch.mouth_B4).item()
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + share * value
    if gan.expert and gan.p.num_runs:
        sums["expert_loss"] = expert_loss(gan, on.batches)
    kept = ("l1", "mouth_l1", "sync_loss", "distance_right", "distance_wrong", "distance_generated", "expert_loss")
    result = {f"val_{name}": sums[name] for name in kept if name in sums}
    effect = sums["effect"] / max(sums["mouth_l1"], 1e-9)
    return result | {"val_audio_effect": effect, "val_motion_ratio": motion_ratio(gan, on.runs)}


@torch.no_grad()
def expert_loss(gan: Gan, batches: list[Batch]) -> float:
    """The expert's loss on the generated runs of the fixed samples, whatever its weight; ln 2 is chance."""
    assert gan.expert is not None
    values = []
    for batch in batches:
        batch = Batch(*(part[: gan.p.num_runs * RUN] for part in batch)).to(gan.device)
        faces_B6SS = generator_input(pictures(batch.identity_BSS3), pictures(batch.target_BSS3))
        generated_B3SS = gan.generate(faces_B6SS, batch.mfcc_BFW)
        values.append(loss_terms.expert_loss(gan.expert, generated_B3SS, batch).item())
    return float(np.mean(values))


def motion_ratio(gan: Gan, runs: list[Batch]) -> float:
    """Mouth motion caused by the sound, as a share of the real mouth's motion; 0 is frozen.

    The generator gets one frame of a run with the sounds of all its frames, so that only the sound can move the
    picture. Motion is the standard deviation over time, averaged over the pixels of that frame's lip box. The real
    motion includes the head's, so a good generator stays below 1.
    """
    moved = real = 0.0
    for run in runs:
        run = run.to(gan.device)
        target_TSS3 = pictures(run.target_BSS3)
        still = generator_input(pictures(run.identity_BSS3[:1]), target_TSS3[:1]).expand(len(target_TSS3), -1, -1, -1)
        generated = gan.generate(still, run.mfcc_BFW)
        mask_SS = losses.lip_mask(run.mouth_B4[:1], target_TSS3.shape[-1])[0, 0]
        moved += _movement(generated, mask_SS)
        real += _movement(target_TSS3, mask_SS)
    return moved / max(real, 1e-9)


def _movement(pictures_T3SS: torch.Tensor, mask_SS: torch.Tensor) -> float:
    return pictures_T3SS.std(dim=0, correction=0)[:, mask_SS].mean().item()


def strip(gan: Gan, batch: Batch) -> np.ndarray:
    """Samples as columns; identity, masked input, generated and true face as rows.  Shape: -> (4 S, n S, 3) uint8"""
    batch = Batch(*(part[:STRIP_SAMPLES] for part in batch)).to(gan.device)
    identity, target = pictures(batch.identity_BSS3), pictures(batch.target_BSS3)
    generated = gan.generate(generator_input(identity, target), batch.mfcc_BFW)
    rows = [frame_bytes(part).cpu().numpy() for part in (identity, mask_lower_half(target), generated, target)]
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
