"""LPIPS and FID by published networks, if the user has their weights.

Both are TorchScript files from pictures (B, 3, H, W) float in [0, 255] to features, as NVIDIA publishes them for
StyleGAN: `vgg16.pt` (its features are LPIPS' own, called with return_lpips=True) and `inception-2015-12-05.pt`
(return_features=True). Files may have any name.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from model.metrics.picture import frechet_distance
from tasks.core.errors import UserError

AT_ONCE = 32


class Features:
    """A network from pictures to features.  Errors: UserError if it is missing or not TorchScript"""

    def __init__(self, weights: Path, flag: str, name: str) -> None:
        if not weights.is_file():
            raise UserError(
                f"{weights}: no such file; set evaluate.weights.{name} to a TorchScript network, or leave it empty"
            )
        try:
            self.network = torch.jit.load(str(weights), map_location="cpu").eval()
        except RuntimeError as error:
            raise UserError(f"{weights}: not a TorchScript network: {str(error).splitlines()[0]}") from error
        self._flag = {flag: True}

    @torch.inference_mode()
    def __call__(self, faces_THW3: np.ndarray) -> np.ndarray:
        """Shape: (T, H, W, 3) uint8 RGB -> (T, D) float32"""
        features = []
        for at in range(0, len(faces_THW3), AT_ONCE):
            pictures_B3HW = torch.from_numpy(np.ascontiguousarray(faces_THW3[at : at + AT_ONCE])).permute(0, 3, 1, 2)
            features.append(self.network(pictures_B3HW.float(), **self._flag).flatten(1).numpy())
        return np.concatenate(features)


def lpips(weights: Path) -> Callable[[np.ndarray, np.ndarray], float]:
    """Distance of pictures by a network's features, mean over frames; 0 is equal, lower is better.

    Misses: time and sound; a copy of the input scores well.
    Source: Zhang et al., The Unreasonable Effectiveness of Deep Features, 2018
    """
    features = Features(weights, "return_lpips", "lpips")

    def distance(a_THW3: np.ndarray, b_THW3: np.ndarray) -> float:
        return float(np.square(features(a_THW3) - features(b_THW3)).sum(axis=1).mean())

    return distance


class Fid:
    """Frechet Inception Distance between a condition's frames and the true ones, collected clip by clip.

    Misses: sound and time; biased with few frames, so that only sets of one size can be compared.
    """

    def __init__(self, weights: Path, every: int = 5) -> None:
        """`every`: step between the frames used; neighbours are nearly equal."""
        self.features, self.every = Features(weights, "return_features", "inception"), every
        self._by_row: dict[str, list[np.ndarray]] = {}

    def add(self, row: str, faces_THW3: np.ndarray) -> None:
        self._by_row.setdefault(row, []).append(self.features(faces_THW3[:: self.every]))

    def of(self, row: str) -> float:
        return frechet_distance(np.concatenate(self._by_row[row]), np.concatenate(self._by_row["real_video"]))
