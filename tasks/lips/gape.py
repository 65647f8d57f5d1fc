"""A mouth opened further or less far than it was filmed: the space between the inner lips is stretched vertically, what
is above and below moves along. A closed mouth stays closed.

Few people are filmed, each with their own lips and range; this decouples how far a mouth is open from who it is.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.head_mesh import INNER, OUTER

CORNERS = len(OUTER), len(OUTER) + len(INNER) // 2  # indices into the 40 points
LOWER = [CORNERS[0], *range(CORNERS[0] + 1, CORNERS[1]), CORNERS[1]]  # from left to right
UPPER = [CORNERS[0], *range(len(OUTER) + len(INNER) - 1, CORNERS[1], -1), CORNERS[1]]
LEAST_STEP = 1e-4  # between the columns of two neighbouring points, eye distances


@dataclass(frozen=True, slots=True)
class Gape:
    """Shape: columns_BN, middle_BN and gap_BN of the inner lips from left to right, (B, 1) factor of the gap"""

    columns_BN: Tensor
    middle_BN: Tensor
    gap_BN: Tensor
    factor_B1: Tensor

    @classmethod
    def of(cls, truth_B402: Tensor, factor_B: Tensor) -> "Gape":
        lower, upper = truth_B402[:, LOWER], truth_B402[:, UPPER]
        middle, gap = (lower + upper) / 2, (lower - upper)[..., 1].clamp(min=0)
        columns = torch.cummax(middle[..., 0], dim=1).values.contiguous()  # of a head that is turned away they cross
        return cls(columns, middle[..., 1], gap, factor_B[:, None])

    def opened(self, points_BN2: Tensor) -> Tensor:
        """Where points of the picture lie afterwards.  Shape: (B, N, 2) -> (B, N, 2)"""
        middle, half = self._lips(points_BN2)
        away = points_BN2[..., 1] - middle
        outside = away + away.sign() * half * (self.factor_B1 - 1)
        return self._at(points_BN2, middle + torch.where(away.abs() <= half, away * self.factor_B1, outside))

    def filmed(self, points_BN2: Tensor) -> Tensor:
        """The inverse: what is seen at these points afterwards.  Shape: (B, N, 2) -> (B, N, 2)"""
        middle, half = self._lips(points_BN2)
        away, now = points_BN2[..., 1] - middle, half * self.factor_B1
        return self._at(
            points_BN2,
            middle + torch.where(away.abs() <= now, away / self.factor_B1, away - away.sign() * (now - half)),
        )

    def _lips(self, points_BN2: Tensor) -> tuple[Tensor, Tensor]:
        """Middle and half the gap in the points' columns; beyond the corners, those of the corners."""
        x = points_BN2[..., 0].clamp(self.columns_BN[:, :1], self.columns_BN[:, -1:]).contiguous()
        right = torch.searchsorted(self.columns_BN, x).clamp(1, self.columns_BN.shape[1] - 1)
        start, end = self.columns_BN.gather(1, right - 1), self.columns_BN.gather(1, right)
        share = ((x - start) / (end - start).clamp(min=LEAST_STEP)).clamp(0, 1)
        middle, gap = (of.gather(1, right - 1).lerp(of.gather(1, right), share) for of in (self.middle_BN, self.gap_BN))
        return middle, gap / 2

    @staticmethod
    def _at(points_BN2: Tensor, y_BN: Tensor) -> Tensor:
        return torch.stack([points_BN2[..., 0], y_BN], dim=-1)
