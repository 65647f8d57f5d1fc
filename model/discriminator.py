"""The sync discriminator: the distance between a face and a sound. It sees the whole face, generated or real.

Shape letters: B batch, S side of the face crop, F MFCC coefficients, W MFCC columns, D embedding size
"""

import torch.nn.functional as F
from torch import Tensor, nn

from model.generator import bottom_size, check_mfcc, scaled

SMALLEST_SQUARE = 1e-12  # of a distance; the root's slope is infinite at 0


class SyncDiscriminator(nn.Module):
    """Embeds face and sound on the unit sphere; pairs in sync are near. 14.4 M parameters at width 1, size 96.

    Shape:   face_B3SS (B, 3, S, S) in [0, 1], mfcc_BFW (B, 12, 35) float  ->  distance (B,) float32 in [0, 2]
    width    multiplies every number of channels except `dim`, the embedding's
    size     S, a multiple of 32
    Errors:  ValueError for an invalid width, size or input shape
    Source:  Rudrabha/LipGAN @ 7489174, discriminator.py, `create_model`
    Differs: GroupNorm(1, C) replaces keras-contrib's InstanceNormalization, whose default axis=None also averages
             over channels; gain and bias are per channel, not one scalar. Padding is symmetric. At sizes other
             than 96 the last kernel is S/32 wide instead of 3.
    """

    def __init__(self, width: float = 1.0, size: int = 96, dim: int = 512) -> None:
        super().__init__()
        c64, c128, c256, c512 = (scaled(c, width) for c in (64, 128, 256, 512))
        self.size = size
        self.face = nn.Sequential(
            conv(3, c64, kernel=7, stride=2),  # (B, C, S/2, S/2)
            conv(c64, c128, kernel=5, stride=2),
            conv(c128, c256, stride=2),
            conv(c256, c512, stride=2),
            conv(c512, c512, stride=2),  # (B, C, S/32, S/32)
            nn.Conv2d(c512, dim, bottom_size(size)),
        )
        self.audio = nn.Sequential(
            conv(1, c64),
            conv(c64, c128),  # (B, C, 12, 35)
            nn.ZeroPad2d((0, 0, 1, 0)),
            conv(c128, c256, stride=(1, 2)),
            conv(c256, c256),  # (B, C, 13, 18)
            conv(c256, c256, stride=2),  # (B, C, 7, 9)
            conv(c256, c512, stride=2),  # (B, C, 4, 5)
            nn.Conv2d(c512, dim, (4, 5)),
        )

    def forward(self, face_B3SS: Tensor, mfcc_BFW: Tensor) -> Tensor:
        return distance(self.embed_faces(face_B3SS), self.embed_audio(mfcc_BFW))

    def embed_faces(self, face_B3SS: Tensor) -> Tensor:
        """Shape: (B, 3, S, S) -> (B, D) float32, rows of norm 1"""
        if face_B3SS.shape[1:] != (3, self.size, self.size):
            raise ValueError(f"face must be (B, 3, {self.size}, {self.size}), got {tuple(face_B3SS.shape)}")
        return F.normalize(self.face(face_B3SS).flatten(1).float())

    def embed_audio(self, mfcc_BFW: Tensor) -> Tensor:
        """Shape: (B, 12, 35) -> (B, D) float32, rows of norm 1"""
        check_mfcc(mfcc_BFW)
        return F.normalize(self.audio(mfcc_BFW.unsqueeze(1)).flatten(1).float())


def distance(one_BD: Tensor, other_BD: Tensor) -> Tensor:
    """Euclidean distance of each row; its gradient is finite everywhere, and 0 where the rows are equal."""
    return (one_BD - other_BD).square().sum(dim=1).clamp_min(SMALLEST_SQUARE).sqrt()


def conv(c_in: int, c_out: int, *, kernel: int = 3, stride: int | tuple[int, int] = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2),
        nn.GroupNorm(1, c_out),
        nn.LeakyReLU(0.2, inplace=True),
    )
