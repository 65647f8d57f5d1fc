"""The generator: a face with its mouth masked, an identity frame and a sound -> the face lip-synced to the sound.

Shape letters: B batch, C channels, S side of the face crop, F MFCC coefficients, W MFCC columns
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import distributed
from model.mfcc import NUM_MFCC
from model.timing import WINDOW

LEVELS = 5  # times the face encoder halves the picture
BATCH_NORM_EPS = 1e-3  # Keras's default
BATCH_NORM_MOMENTUM = 0.2  # the share of the new batch; Keras names the share of the old, 0.8


class Generator(nn.Module):
    """LipGAN's residual generator. At size 96, 71.3 million parameters at width 1 and 1.1 million at width 1/8.

    Shape:   faces_B6SS (B, 6, S, S) in [0, 1], from model.samples.generator_input; mfcc_BFW (B, 12, 35) float
             ->  (B, 3, S, S) float32 in [0, 1]
    width    multiplies every number of channels, see `scaled`
    size     S, a multiple of 32
    Errors:  ValueError for an invalid width, size or input shape
    Source:  Rudrabha/LipGAN @ 7489174, generator.py, `create_model_residual`
    Differs: Every size has five halvings; the lowest map is S/32 wide instead of 3, and so are the kernels that join
             it to the 1 x 1 code (92.5 million parameters at width 1, size 192).
             Convolutions before a batch norm have no bias, which the norm would cancel. Padding is symmetric where
             TensorFlow's "same" is not, so Keras weights cannot be loaded.
             Batches of one can be trained on, see `BatchNorm`.
    """

    def __init__(self, width: float = 1.0, size: int = 96) -> None:
        super().__init__()
        bottom = bottom_size(size)
        c16, c32, c64, c128, c256, c512 = (scaled(c, width) for c in (16, 32, 64, 128, 256, 512))
        self.size = size
        self.encoder = nn.ModuleList(
            [
                conv(6, c32, kernel=7),  # (B, C, S, S)
                nn.Sequential(conv(c32, c64, kernel=5, stride=2), *residuals(c64, 2)),  # S/2
                nn.Sequential(conv(c64, c128, stride=2), *residuals(c128, 3)),  # S/4
                nn.Sequential(conv(c128, c256, stride=2), *residuals(c256, 2)),  # S/8
                nn.Sequential(conv(c256, c512, stride=2), *residuals(c512, 2)),  # S/16
                conv(c512, c512, stride=2),  # S/32, 3 x 3 at size 96
            ]
        )
        self.face_code = nn.Sequential(
            conv(c512, c512, kernel=bottom, padding=0),  # 1 x 1
            conv(c512, c512, kernel=1),
        )
        self.audio_code = audio_code(width)
        # each level's output is concatenated with the encoder's map of its size for the next level
        self.decoder = nn.ModuleList(
            [
                up(2 * c512, c512, bottom=bottom),  # 1 x 1 to S/32
                nn.Sequential(up(2 * c512, c512), *residuals(c512, 2)),  # S/16
                nn.Sequential(up(2 * c512, c256), *residuals(c256, 2)),  # S/8
                nn.Sequential(up(2 * c256, c128), *residuals(c128, 2)),  # S/4
                nn.Sequential(up(2 * c128, c64), *residuals(c64, 2)),  # S/2
                up(2 * c64, c32),  # S
            ]
        )
        self.picture = nn.Sequential(conv(2 * c32, c16), conv(c16, c16), nn.Conv2d(c16, 3, 1))

    def forward(self, faces_B6SS: Tensor, mfcc_BFW: Tensor) -> Tensor:
        if faces_B6SS.shape[1:] != (6, self.size, self.size):
            raise ValueError(f"faces must be (B, 6, {self.size}, {self.size}), got {tuple(faces_B6SS.shape)}")
        check_mfcc(mfcc_BFW)
        maps, x = [], faces_B6SS
        for level in self.encoder:
            x = level(x)
            maps.append(x)
        x = torch.cat([self.face_code(x), self.audio_code(mfcc_BFW.unsqueeze(1))], dim=1)
        for level, skip in zip(self.decoder, reversed(maps), strict=True):
            x = torch.cat([skip, level(x)], dim=1)
        # sigmoid in float32: above 1/2 bf16 has no steps finer than 1/256
        return torch.sigmoid(self.picture(x).float())


def audio_code(width: float) -> nn.Sequential:
    """Audio encoder.  Shape: (B, 1, 12, 35) -> (B, C, 1, 1) float >= 0, C = scaled(512, width)

    The sync expert has the same layers (model.expert), so that its weights can initialise the generator's.
    """
    c128, c256, c512 = (scaled(c, width) for c in (128, 256, 512))
    return nn.Sequential(
        conv(1, c128),
        *residuals(c128, 3),  # (B, C, 12, 35)
        nn.ZeroPad2d((0, 0, 1, 0)),
        conv(c128, c256, stride=(1, 2)),
        *residuals(c256, 2),  # (B, C, 13, 18)
        conv(c256, c512, stride=2),
        *residuals(c512, 2),  # (B, C, 7, 9)
        conv(c512, c512, stride=2),
        *residuals(c512, 1),  # (B, C, 4, 5)
        conv(c512, c512, kernel=(4, 5), padding=0),
        conv(c512, c512, kernel=1),  # 1 x 1
    )


class Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + x)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation with Keras's constants that also trains on one value per channel.

    Differs: On a 1 x 1 map a batch of one has no statistics: torch raises, Keras returns the bias and so loses the
             sound. Here the running statistics normalise it and are not updated.
             With several processes (model.distributed) the statistics are those of the global batch, on any device:
             two processes compute what one would.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        num_ranks = distributed.num_ranks() if self.training else 1
        num_values = x.shape[0] * x.shape[2] * x.shape[3] * num_ranks
        if self.training and num_values == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x) if num_ranks == 1 else self._over_ranks(x, num_values)

    def _over_ranks(self, x: Tensor, num_values: int) -> Tensor:
        """Training mode on the global batch. One message a pass: the mean, and the mean square about 0."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        with torch.autocast(x.device.type, enabled=False):
            var_C, mean_C = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
            mean_C, square_C = distributed.mean(torch.stack([mean_C, var_C + mean_C.square()])).unbind()
            var_C = (square_C - mean_C.square()).clamp_min(0)
            with torch.no_grad():
                unbiased_C = var_C * (num_values / (num_values - 1))
                self.running_mean.lerp_(mean_C, BATCH_NORM_MOMENTUM)
                self.running_var.lerp_(unbiased_C, BATCH_NORM_MOMENTUM)
                self.num_batches_tracked += 1
            gain_C = self.weight * torch.rsqrt(var_C + self.eps)
            shift_C = self.bias - mean_C * gain_C
            return (x.float() * gain_C[:, None, None] + shift_C[:, None, None]).to(x.dtype)


def conv(
    c_in: int,
    c_out: int,
    *,
    kernel: int | tuple[int, int] = 3,
    stride: int | tuple[int, int] = 1,
    padding: int | None = None,
) -> nn.Module:
    """Convolution, batch norm, ReLU; padded to keep the size unless `padding` is given (square kernels)."""
    if padding is None:
        assert isinstance(kernel, int), kernel
        padding = kernel // 2
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False), BatchNorm(c_out), nn.ReLU(inplace=True)
    )


def up(c_in: int, c_out: int, *, bottom: int | None = None) -> nn.Module:
    """Transposed convolution to twice the size, or from 1 x 1 to `bottom`; then batch norm, ReLU.

    It is initialised as linear interpolation of mixed channels: random taps of stride 2 cause a grid in the picture,
    which a short training does not remove.  Source: Odena et al. 2016, Deconvolution and checkerboard artifacts.
    """
    if bottom is None:
        grow = nn.ConvTranspose2d(c_in, c_out, 3, stride=2, padding=1, output_padding=1, bias=False)
        with torch.no_grad():
            tent_3 = torch.tensor([0.5, 1.0, 0.5])
            grow.weight.copy_(grow.weight[:, :, 1:2, 1:2] * tent_3[:, None] * tent_3)
    else:
        grow = nn.ConvTranspose2d(c_in, c_out, bottom, bias=False)
    return nn.Sequential(grow, BatchNorm(c_out), nn.ReLU(inplace=True))


def residuals(channels: int, num_blocks: int) -> list[nn.Module]:
    return [Residual(channels) for _ in range(num_blocks)]


def scaled(channels: int, width: float) -> int:
    """`channels` times `width` as a multiple of 8, at least 8, for the matrix units."""
    if width <= 0:
        raise ValueError(f"width must be above 0, got {width}")
    return max(8, round(channels * width / 8) * 8)


def bottom_size(size: int) -> int:
    """Side of the lowest face map.  Errors: ValueError for a size that cannot be halved five times"""
    if size < 2**LEVELS or size % 2**LEVELS:
        raise ValueError(f"size must be a multiple of {2**LEVELS}, got {size}")
    return size // 2**LEVELS


def check_mfcc(mfcc_BFW: Tensor) -> None:
    if mfcc_BFW.shape[1:] != (NUM_MFCC, WINDOW):
        raise ValueError(f"mfcc must be (B, {NUM_MFCC}, {WINDOW}), got {tuple(mfcc_BFW.shape)}")
