"""The network of the published SyncNet, for users who have its weights (syncnet_v2): LSE-D and LSE-C of the papers.

No model here is trained with it, and its figures are never mixed with those of our own expert.
"""

import torch
from torch import Tensor, nn

FRAMES, COLUMNS, COEFFICIENTS, SIDE = 5, 20, 13, 224


class SyncNet(nn.Module):
    """Embeds five frames and 0.2 s of sound; the two vectors are near each other if they are in sync.

    Shape:   faces (B, 3, 5, 224, 224) float in [0, 255], BGR; mfcc (B, 1, 13, 20) float -> (B, 1024) each
    Source:  Chung and Zisserman, Out of Time, 2016; layer sizes and names of the public weights
    """

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = nn.Sequential(
            *_flat(1, 64, 3, padding=1), nn.MaxPool2d((1, 1), (1, 1)),
            *_flat(64, 192, 3, padding=1), nn.MaxPool2d((3, 3), (1, 2)),
            *_flat(192, 384, 3, padding=1),
            *_flat(384, 256, 3, padding=1),
            *_flat(256, 256, 3, padding=1), nn.MaxPool2d((3, 3), (2, 2)),
            *_flat(256, 512, (5, 4)),
        )  # fmt: skip
        self.netfcaud = _head()
        self.netfclip = _head()
        self.netcnnlip = nn.Sequential(
            *_deep(3, 96, (5, 7, 7), (1, 2, 2), 0), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_deep(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_deep(256, 256, (1, 3, 3), 1, (0, 1, 1)),
            *_deep(256, 256, (1, 3, 3), 1, (0, 1, 1)),
            *_deep(256, 256, (1, 3, 3), 1, (0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_deep(256, 512, (1, 6, 6), 1, 0),
        )  # fmt: skip

    def embed_faces(self, faces_B3RSS: Tensor) -> Tensor:
        return torch.as_tensor(self.netfclip(self.netcnnlip(faces_B3RSS).flatten(1)))

    def embed_audio(self, mfcc_B1FW: Tensor) -> Tensor:
        return torch.as_tensor(self.netfcaud(self.netcnnaud(mfcc_B1FW).flatten(1)))


def _flat(c_in: int, c_out: int, kernel: int | tuple[int, int], padding: int = 0) -> tuple[nn.Module, ...]:
    return nn.Conv2d(c_in, c_out, kernel, padding=padding), nn.BatchNorm2d(c_out), nn.ReLU()


def _deep(
    c_in: int, c_out: int, kernel: tuple[int, int, int], stride: int | tuple[int, int, int],
    padding: int | tuple[int, int, int],
) -> tuple[nn.Module, ...]:  # fmt: skip
    return nn.Conv3d(c_in, c_out, kernel, stride, padding), nn.BatchNorm3d(c_out), nn.ReLU()


def _head() -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024))
