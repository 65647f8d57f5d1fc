"""Training examples for the lip refiner: a wide crop around a mouth, the mesh's lip points, the true ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from model import lips
from model.lips import LIPS
from tasks.features.affine import Frame, cut

WIDE_PX, WIDE_PX_PER_EYE = 128, 64.0  # wider than the network's crop: augmentation rotates, shifts and shrinks


@dataclass(frozen=True, slots=True)
class Examples:
    """N mouths of one source.

    crops_NSS3   uint8 RGB, S = WIDE_PX, the mesh's lips in the middle, WIDE_PX_PER_EYE
    mesh_N402    float32, the mesh's lip points, eye distances from the middle
    truth_N402   float32, likewise
    """

    crops_NSS3: np.ndarray
    mesh_N402: np.ndarray
    truth_N402: np.ndarray

    def __len__(self) -> int:
        return len(self.crops_NSS3)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__))


def example(frame_HW3: Frame, points_4683: np.ndarray, truth_402: np.ndarray) -> Examples:
    """One frame.  Shape: (H, W, 3), (468, 3) px of the frame, (40, 2) px of the frame -> N = 1"""
    wide_123 = lips.placements(points_4683[None], (WIDE_PX, WIDE_PX), WIDE_PX_PER_EYE)
    narrow_123 = lips.placements(points_4683[None])
    return Examples(
        cut(frame_HW3, wide_123[0], (WIDE_PX, WIDE_PX))[None],
        lips.to_units(points_4683[None, LIPS, :2], narrow_123).astype(np.float32),
        lips.to_units(truth_402[None].astype(np.float64), narrow_123).astype(np.float32),
    )
