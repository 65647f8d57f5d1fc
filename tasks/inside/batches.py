"""Training batches of pairs; a batch depends only on the seed and the step number."""

import cv2
import numpy as np
import torch

from model import seeds
from model.inside_gan import Pairs
from model.params import InsideParams
from tasks.inside.pairs import Pool

SIGMA_PX = (0.4, 1.6)  # of a blurred pair


class Batches:
    def __init__(self, pairs: Pool, p: InsideParams, seed: int) -> None:
        self.pool, self.p, self.seed = pairs, p, seed

    def batch(self, step: int) -> Pairs:
        rng = seeds.generator(self.seed, "inside", step)
        numbers = rng.choice(len(self.pool), self.p.batch_size)
        drawn = [_changed(self.pool, int(n), self.p, rng) for n in numbers]
        return Pairs(*(torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True)))


def whole(pairs: Pool) -> Pairs:
    """All pairs as they are."""
    return Pairs(*(torch.from_numpy(part) for part in (pairs.warped_NHW3, pairs.true_NHW3, pairs.masks_N3HW)))


def _changed(
    pairs: Pool, n: int, p: InsideParams, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both pictures of a pair changed alike: mirrored, other light, without colour, blurred."""
    pictures, masks_3HW = np.stack([pairs.warped_NHW3[n], pairs.true_NHW3[n]]).astype(np.float32), pairs.masks_N3HW[n]
    gain_3 = np.exp(rng.uniform(-p.light, p.light) + rng.uniform(-p.light, p.light, 3) / 2)
    pictures = 255 * (pictures / 255) ** np.exp(rng.uniform(-p.light, p.light)) * gain_3
    if rng.random() < p.grey:
        pictures = np.repeat(pictures.mean(axis=3, keepdims=True), 3, axis=3)
    if rng.random() < p.blurred:
        sigma = rng.uniform(*SIGMA_PX)
        pictures = np.stack([cv2.GaussianBlur(picture, (0, 0), sigma) for picture in pictures])
    pictures = np.clip(np.rint(pictures), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        pictures, masks_3HW = pictures[:, :, ::-1], masks_3HW[:, :, ::-1]
    return pictures[0].copy(), pictures[1].copy(), masks_3HW.copy()
