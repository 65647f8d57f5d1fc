"""The training step of model.inside: L1 and a visual-quality discriminator, as in model.gan without its sound.

The sync expert has no part in it: it compares five whole lower halves of 96 px faces with sound, and the lips, which it
would judge, are given here.

Shape letters: B crops, H and W of a crop
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from model.ema import Average
from model.inside import InsideNet
from model.losses import weighted_l1
from model.optim import adam, match_layout, update
from model.params import InsideParams
from model.visual_quality import QualityDiscriminator, accuracy, quality_loss, realism_loss

SURROUNDINGS = 0.05  # weight of L1 outside the painted area, from which only its edge is taken
PATCH, LEAST_AREA = 8, 0.1  # px of a patch of the discriminator; its painted share from which it is judged
CONTRAST = 8.0  # of the pictures that the discriminator sees: at 1 it tells nothing apart in 1,000 steps
RATE_FLOOR = 0.05  # final learning rate relative to the peak


class Pairs(NamedTuple):
    """warped_BHW3, true_BHW3: uint8.  masks_B3HW: inner lips, outer lips, painted area; uint8"""

    warped_BHW3: Tensor
    true_BHW3: Tensor
    masks_B3HW: Tensor


class InsideGan:
    """`average` holds the network that is measured and saved."""

    def __init__(self, p: InsideParams) -> None:
        self.p = p
        self.net = InsideNet(p.width).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.quality = QualityDiscriminator(p.quality_width)
        self.net_optimizer = adam(self.net, p.lr)
        self.quality_optimizer = adam(self.quality, p.lr_discriminator)
        self.average = Average(self.net, p.average)

    def step(self, pairs: Pairs, number: int) -> dict[str, Tensor]:
        """Train on pairs; 0-dim tensors. The discriminator joins at `quality_from` of the steps."""
        p, judged = self.p, number >= self.p.quality_from * self.p.num_steps and self.p.quality_weight > 0
        self._set_rates(number)
        true_B3HW, area_B1HW = pairs.true_BHW3.permute(0, 3, 1, 2).float() / 255, pairs.masks_B3HW[:, 2:].float() / 255
        with self._autocast():
            made_B3HW = self.net.train()(inputs(pairs))
        made_B3HW = made_B3HW.float()
        l1 = weighted_l1(made_B3HW, true_B3HW, area_B1HW + SURROUNDINGS * (1 - area_B1HW))
        figures, loss = {"l1": weighted_l1(made_B3HW.detach(), true_B3HW, area_B1HW)}, l1
        if judged:
            # the surroundings are the true ones, so that only the inside and its join are judged
            shown_B3HW = true_B3HW + (made_B3HW - true_B3HW) * area_B1HW
            judged_B1hw = F.avg_pool2d(area_B1HW, PATCH) > LEAST_AREA
            figures |= self._quality_step(shown_B3HW.detach(), true_B3HW, judged_B1hw)
            with self._autocast():
                realism = realism_loss(self._scores(shown_B3HW)[judged_B1hw])
            loss = loss + p.quality_weight * realism
            figures["realism"] = realism.detach()
        update(self.net, self.net_optimizer, loss)
        self.average.update()
        return figures | {"loss": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        match_layout(self.net_optimizer)
        match_layout(self.quality_optimizer)

    def _parts(self) -> dict[str, Any]:
        return {
            "net": self.net,
            "quality": self.quality,
            "net_optimizer": self.net_optimizer,
            "quality_optimizer": self.quality_optimizer,
            "average": self.average,
        }

    def rate(self, number: int) -> float:
        """Share of the learning rates at a step: a linear warm-up, then a linear fall over the second half."""
        fall = min(1.0, 2 * (1 - number / self.p.num_steps))
        return min(1.0, (number + 1) / (self.p.warmup_steps + 1)) * max(RATE_FLOOR, fall)

    def _set_rates(self, number: int) -> None:
        for optimizer in (self.net_optimizer, self.quality_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = self.rate(number) * optimizer.defaults["lr"]

    def _quality_step(self, shown_B3HW: Tensor, true_B3HW: Tensor, judged_B1hw: Tensor) -> dict[str, Tensor]:
        with self._autocast():
            both = self._scores(torch.cat([true_B3HW, shown_B3HW]))
        real, generated = (scores_B1hw[judged_B1hw] for scores_B1hw in both.chunk(2))
        loss = quality_loss(real, generated)
        update(self.quality, self.quality_optimizer, loss)
        return {"quality_loss": loss.detach(), "quality_accuracy": accuracy(real.detach(), generated.detach())}

    def _scores(self, pictures_B3HW: Tensor) -> Tensor:
        """Of the discriminator, whose spectral norm allows it to change no faster than its input."""
        return self.quality.patches(CONTRAST * (pictures_B3HW - 0.5))

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.p.precision == "bf16")


def inputs(pairs: Pairs) -> Tensor:
    """Shape: -> (B, 5, H, W) float32 in [0, 1]"""
    planes = torch.cat([pairs.warped_BHW3.permute(0, 3, 1, 2), pairs.masks_B3HW[:, :2]], dim=1)
    return (planes.float() / 255).contiguous(memory_format=torch.channels_last)
