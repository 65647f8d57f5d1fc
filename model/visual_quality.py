"""The visual-quality discriminator: whether the lower half of a face looks real. It has no audio input.

Shape letters: B batch, S side of the face crop
"""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from model.generator import scaled


class QualityDiscriminator(nn.Module):
    """Realism of patches of the lower half; each output sees about a third of it.

    Shape:   (B, 3, S, S) in [0, 1]  ->  (B, 1, S/16, S/8) float32, above 0 is real
    width    multiplies every number of channels, see model.generator.scaled
    Source:  the idea of Wav2Lip's second discriminator, which looks at the lower half alone; patches after Isola et
             al. 2017; spectral norm after Miyato et al. 2018
    Differs: Hinge loss on patches instead of one cross entropy per face: it judges the sharpness of teeth and lips.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c64, c128, c256 = (scaled(c, width) for c in (64, 128, 256))
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(3, c64, 5, 2, 2)),
            nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Conv2d(c64, c128, 5, 2, 2)),
            nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Conv2d(c128, c256, 3, 2, 1)),
            nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Conv2d(c256, 1, 3, 1, 1)),
        )

    def forward(self, faces_B3SS: Tensor) -> Tensor:
        return self.patches(faces_B3SS[:, :, faces_B3SS.shape[2] // 2 :])

    def patches(self, pictures_B3HW: Tensor) -> Tensor:
        """Of whole pictures.  Shape: (B, 3, H, W) -> (B, 1, H/8, W/8) float32"""
        return cast(Tensor, self.layers(pictures_B3HW)).float()


def quality_loss(real: Tensor, generated: Tensor) -> Tensor:
    """The discriminator's hinge loss, 0-dim; 1 at chance.  Source: Lim and Ye 2017"""
    return (F.relu(1 - real).mean() + F.relu(1 + generated).mean()) / 2


def realism_loss(generated: Tensor) -> Tensor:
    """The generator's loss: 0-dim, lower is more realistic."""
    return -generated.mean()


def accuracy(real: Tensor, generated: Tensor) -> Tensor:
    """Share of patches classified right, 0-dim; 0.5 is chance: real and generated cannot be told apart."""
    return ((real > 0).float().mean() + (generated <= 0).float().mean()) / 2
