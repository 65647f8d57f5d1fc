"""Training samples, and the conversion of bytes to network input, shared by training and inference.

Shape letters: B batch, S side of the square face crop, F MFCC coefficients, W MFCC columns of a window

A picture is RGB: uint8 (B, S, S, 3) as bytes, float (B, 3, S, S) in [0, 1] as network input.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from model import timing


class Batch(NamedTuple):
    """B samples as the loader delivers them; a sample is one target frame and its inputs.

    Shape:  identity_BSS3   (B, S, S, 3) uint8, another frame of the clip that shows the person
            target_BSS3     (B, S, S, 3) uint8, the frame to generate
            mfcc_BFW        (B, 12, 35) float32, the sound of the target frame
            negative_BFW    (B, 12, 35) float32, sound that does not belong to the target frame
            mouth_B4        (B, 4) int16, box of the target's lips: left, top, right, bottom in pixels of the
                            crop, right and bottom exclusive
    """

    identity_BSS3: Tensor
    target_BSS3: Tensor
    mfcc_BFW: Tensor
    negative_BFW: Tensor
    mouth_B4: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`; copies from pinned memory do not wait."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))


def pictures(frames_BSS3: Tensor | np.ndarray) -> Tensor:
    """Bytes to network input.  Shape: (B, S, S, 3) uint8 -> (B, 3, S, S) float32 in [0, 1]

    The result keeps the bytes' memory order, colour innermost: it is `channels_last` without a copy.
    """
    frames_BSS3 = torch.as_tensor(frames_BSS3)
    if frames_BSS3.dtype != torch.uint8 or frames_BSS3.ndim != 4 or frames_BSS3.shape[3] != 3:
        got = f"{tuple(frames_BSS3.shape)} {frames_BSS3.dtype}"
        raise ValueError(f"frames must be (B, S, S, 3) uint8, got {got}")
    return frames_BSS3.permute(0, 3, 1, 2).float() / 255


def frame_bytes(pictures_B3SS: Tensor) -> Tensor:
    """The inverse of `pictures`, to the nearest byte.  Shape: (B, 3, S, S) in [0, 1] -> (B, S, S, 3) uint8"""
    frames_BSS3 = pictures_B3SS.float().permute(0, 2, 3, 1)
    return (frames_BSS3 * 255).round().clamp(0, 255).to(torch.uint8).contiguous()


def mask_lower_half(pictures_B3SS: Tensor) -> Tensor:
    """A copy with rows S // 2 and below at zero: the rest shows the pose, not the mouth."""
    masked_B3SS = pictures_B3SS.clone()
    masked_B3SS[:, :, masked_B3SS.shape[2] // 2 :] = 0
    return masked_B3SS


def generator_input(identity_B3SS: Tensor, target_B3SS: Tensor) -> Tensor:
    """The generator's six channels: the identity frame, then the target, which is masked here.

    Shape:  two (B, 3, S, S) in [0, 1] -> (B, 6, S, S)
    Source: the order of LipGAN's train.py
    """
    return torch.cat([identity_B3SS, mask_lower_half(target_B3SS)], dim=1)


def windows(mfcc_FW: np.ndarray, frames_N: np.ndarray) -> np.ndarray:
    """The sound of each frame.  Shape: (12, columns), (N,) int -> (N, 12, 35)"""
    columns_NW = timing.window_columns(frames_N, mfcc_FW.shape[1])
    return mfcc_FW[:, columns_NW].transpose(1, 0, 2)


def windows_at(mfcc_FW: np.ndarray, middles_s: np.ndarray) -> np.ndarray:
    """The sound around any times.  Shape: (12, columns), (N,) float s -> (N, 12, 35)"""
    return mfcc_FW[:, timing.columns_at(middles_s, mfcc_FW.shape[1])].transpose(1, 0, 2)


def identity_frame(found_T: np.ndarray) -> int:
    """The frame that shows the person: the middle one of the frames with a detected face."""
    frames = np.flatnonzero(found_T)
    return int(frames[len(frames) // 2])
