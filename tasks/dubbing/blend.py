"""A generated mouth blended into the frames of one face: used by `render` for a file, by `tasks.live` for a stream."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model import faces, timing
from model.mfcc import NUM_MFCC
from tasks.dubbing.look import Face
from tasks.features import crop, paste
from tasks.features.face_track import Frame
from tasks.inference.lip_sync import LipSync


@dataclass(frozen=True, slots=True)
class Target:
    """Where a generated face goes in a frame.

    Shape: crop_4 px of the frame; real_SS3 uint8, the crop as it is; mask_SS float32, the share of the generated face
    """

    crop_4: np.ndarray
    real_SS3: np.ndarray
    mask_SS: np.ndarray

    def recoloured(self, made_SS3: np.ndarray) -> np.ndarray:
        """The generated face in the colours of the real one.  Shape: (S, S, 3) uint8 -> (S, S, 3) float32"""
        return paste.recoloured(made_SS3, self.real_SS3, self.mask_SS)

    def seam(self, face_SS3: np.ndarray) -> float:
        """How visible the mask's rim is, in levels of 255, for a recoloured face."""
        return paste.seam(face_SS3, self.real_SS3, self.mask_SS)


class FaceBlender:
    """One face and the generator.

    identity_SS3: the crop that shows the generator whose face it is, the middle one of the portraits
    sharpen:      how many times more detail the real face has than the one generated from it with silence
    """

    def __init__(self, sync: LipSync, face: Face) -> None:
        self.sync, self.face = sync, face
        portraits = list(face.portraits.values())
        self.identity_SS3 = portraits[len(portraits) // 2]
        silence_1FW = np.zeros((1, NUM_MFCC, timing.WINDOW), np.float32)
        [twin_SS3] = sync.generate(self.identity_SS3, self.identity_SS3[None], silence_1FW)
        self.sharpen = paste.sharpness(self.identity_SS3, twin_SS3)

    def targets(self, frames: Sequence[Frame], at_B: np.ndarray) -> list[Target]:
        """at_B: the number of each frame, counted from the face's first."""
        size, crops_B4 = self.sync.size, faces.crop_boxes(self.face.boxes_N4[at_B])
        return [
            Target(crop_4, crop.crop(frame, crop_4, size), paste.mask(crop_points(self.face, at, crop_4, size), size))
            for frame, at, crop_4 in zip(frames, at_B.tolist(), crops_B4, strict=True)
        ]

    def generate(self, targets: Sequence[Target], windows_BFW: np.ndarray) -> np.ndarray:
        """Shape: B targets, (B, 12, 35) -> (B, S, S, 3) uint8"""
        return self.sync.generate(self.identity_SS3, np.stack([target.real_SS3 for target in targets]), windows_BFW)

    def blend(self, frame_HW3: Frame, target: Target, face_SS3: np.ndarray, weight: float = 1.0) -> Frame:
        """The frame with a recoloured face in it; weight 0: unchanged."""
        return paste.over(frame_HW3, face_SS3, target.mask_SS * weight, target.crop_4, self.sharpen)


def crop_points(face: Face, number: int, crop_4: np.ndarray, size: int) -> np.ndarray:
    """Landmarks in the crop, averaged over three frames.  Shape: -> (68, 2) float32"""
    points = face.points_N682[max(0, number - 1) : number + 2].mean(axis=0)
    return ((points - crop_4[:2]) * (size / (crop_4[2:] - crop_4[:2]))).astype(np.float32)


def as_array(frame_HW3: Frame) -> np.ndarray:
    return frame_HW3 if isinstance(frame_HW3, np.ndarray) else frame_HW3.rgb()
