"""The sync discriminator judged on random test faces, half with the right and half with the wrong sound."""

from pathlib import Path

import torch

from model.discriminator import SyncDiscriminator
from model.metrics import temporal
from model.params import Params
from model.samples import pictures
from model.sampling import Draws
from tasks.inference import checkpoints
from tasks.loading import batches
from tasks.loading.clips import Clips

AT_ONCE = 100  # pairs


def random_pairs(clips: Clips, p: Params) -> Draws:
    """`evaluate.num_pairs` faces, each with its own sound and a wrong one; the same at every call."""
    num = p.evaluate.num_pairs
    return clips.draw(p.train, seed=p.seed, epoch="pairs", per_clip=-(-num // len(clips)), flip=False).rows(0, num)


def accuracy(checkpoint: Path, clips: Clips, p: Params) -> dict[str, float]:
    """How well the discriminator separates right from wrong sound.

    accuracy        share classified right by distance below half the margin (chance 0.5; LipGAN's authors: 0.63)
    accuracy_2afc   share of faces nearer to their right sound than to the wrong one (chance 0.5)
    """
    weights, about = checkpoints.load(checkpoint)
    network = SyncDiscriminator(*checkpoints.sizes(about, checkpoint))
    checkpoints.load_weights(network, weights, checkpoint)
    network.eval()
    draws = random_pairs(clips, p)
    right, wrong = [], []
    with torch.inference_mode():
        for start in range(0, len(draws), AT_ONCE):
            batch = batches.batch_of(clips, draws.rows(start, min(start + AT_ONCE, len(draws))))
            face_B3SS = pictures(batch.target_BSS3)
            right.append(network(face_B3SS, batch.mfcc_BFW))
            wrong.append(network(face_B3SS, batch.negative_BFW))
    scores = temporal.sync_accuracy(torch.cat(right).numpy(), torch.cat(wrong).numpy(), threshold=p.train.margin / 2)
    return {"accuracy": scores.accuracy, "accuracy_2afc": scores.two_afc, "pairs": 2 * len(draws)}
