"""The training steps of the network that paints the mouth's inside."""

import torch

from model import seeds
from model.inside_gan import InsideGan
from model.params import InsideParams
from tasks.inside.batches import Batches
from tasks.motion.steps import StepTrainer


class InsideTrainer(StepTrainer):
    def __init__(self, batches: Batches, p: InsideParams, seed: int) -> None:
        torch.manual_seed(seeds.derive(seed, "inside", "weights"))
        self.batches, self.gan = batches, InsideGan(p)
        super().__init__(p, {"gan": self.gan})

    def train_step(self) -> dict[str, torch.Tensor]:
        return self.gan.step(self.batches.batch(self.step), self.step)

    def rate(self, step: int) -> float:
        return self.gan.p.lr * self.gan.rate(step)
