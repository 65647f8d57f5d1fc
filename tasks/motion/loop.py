"""The training steps of the motion network."""

import torch

from model import motion, seeds
from model.ema import Average
from model.motion import MotionNet
from model.params import MotionParams
from tasks.motion.batches import Pieces
from tasks.motion.steps import StepTrainer

FLOOR_LR = 0.02  # final learning rate relative to the peak


class MotionTrainer(StepTrainer):
    def __init__(self, pieces: Pieces, p: MotionParams, seed: int) -> None:
        self.pieces, self.p, self.seed = pieces, p, seed
        torch.manual_seed(seeds.derive(seed, "motion", "weights"))
        self.net = MotionNet(p, num_kinds=1 + max(clip.folder for clip in pieces.clips))
        self.average = Average(self.net, p.average)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), p.lr, weight_decay=p.weight_decay)
        super().__init__(p, {"net": self.net, "average": self.average, "optimiser": self.optimiser})
        scale_K = pieces.shapes.scale_K
        self.scale_K = torch.from_numpy((scale_K / scale_K.max()).astype("float32"))
        opening_K = torch.from_numpy(pieces.shapes.opening_K())
        self.opening_K = opening_K / opening_K.norm()

    def train_step(self) -> dict[str, torch.Tensor]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step)
        torch.manual_seed(seeds.derive(self.seed, "motion", "dropout", self.step))
        features_BMC, true_BLK, folder_B = self.pieces.batch(self.step)
        predicted_BLK = motion.at_frames(self.net.train()(features_BMC, folder_B))
        figures = motion.loss(predicted_BLK, true_BLK, self.scale_K, self.opening_K, self.p)
        self.optimiser.zero_grad()
        figures["loss"].backward()
        self.optimiser.step()
        self.average.update()
        return {name: value.detach() for name, value in figures.items()}

    def rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down."""
        warm = min(1.0, (step + 1) / (self.p.warmup_steps + 1))
        fall = 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * step / self.p.num_steps))))
        return self.p.lr * warm * (FLOOR_LR + (1 - FLOOR_LR) * fall)
