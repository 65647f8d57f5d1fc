"""The training loop of the motion network. A step depends only on the seed, the step number and the state, so a resumed
training ends with the same bytes as an uninterrupted one."""

from collections.abc import Callable
from typing import Any

import torch

from model import motion, seeds
from model.ema import Average
from model.motion import MotionNet
from model.params import MotionParams
from tasks.motion.batches import Pieces

State = dict[str, Any]
FLOOR_LR = 0.02  # final learning rate relative to the peak


class MotionTrainer:
    def __init__(self, pieces: Pieces, p: MotionParams, seed: int) -> None:
        self.pieces, self.p, self.seed = pieces, p, seed
        torch.manual_seed(seeds.derive(seed, "motion", "weights"))
        self.net = MotionNet(p, num_kinds=1 + max(clip.folder for clip in pieces.clips))
        self.average = Average(self.net, p.average)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), p.lr, weight_decay=p.weight_decay)
        scale_K = pieces.shapes.scale_K
        self.scale_K = torch.from_numpy((scale_K / scale_K.max()).astype("float32"))
        opening_K = torch.from_numpy(pieces.shapes.opening_K())
        self.opening_K = opening_K / opening_K.norm()
        self.step = 0
        self.curve: list[dict[str, float]] = []

    def state(self) -> State:
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "curve": self.curve,
        }

    def restore(self, state: State) -> None:
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.curve = state["step"], list(state["curve"])

    def run(
        self,
        *,
        measure: Callable[[MotionNet], dict[str, float]],
        save: Callable[[State], None],
        log: Callable[[dict[str, float], int], None],
        after_step: Callable[[], None],
    ) -> None:
        """Train to the last step.

        measure: figures on held-out people; save: a state to resume from; log: a row of figures
        """
        p = self.p
        while self.step < p.num_steps:
            figures = self._train_step()
            self.step += 1
            last = self.step == p.num_steps
            if self.step % p.log_every == 0 or last:
                row = {name: float(value) for name, value in figures.items()} | {"lr": self._rate(self.step - 1)}
                row |= measure(self.average.network) if self.step % p.val_every == 0 or last else {}
                self.curve.append({"step": float(self.step)} | row)
                log(row, self.step)
            if self.step % p.checkpoint_every == 0 or last:
                save(self.state())
            after_step()

    def _train_step(self) -> dict[str, torch.Tensor]:
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(self.step)
        torch.manual_seed(seeds.derive(self.seed, "motion", "dropout", self.step))
        features_BMC, true_BLK, folder_B = self.pieces.batch(self.step)
        predicted_BLK = motion.at_frames(self.net.train()(features_BMC, folder_B))
        figures = motion.loss(predicted_BLK, true_BLK, self.scale_K, self.opening_K, self.p)
        self.optimiser.zero_grad()
        figures["loss"].backward()
        self.optimiser.step()
        self.average.update()
        return {name: value.detach() for name, value in figures.items()}

    def _rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down."""
        warm = min(1.0, (step + 1) / (self.p.warmup_steps + 1))
        fall = 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * step / self.p.num_steps))))
        return self.p.lr * warm * (FLOOR_LR + (1 - FLOOR_LR) * fall)
