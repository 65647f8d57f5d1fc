"""Shoulders, collar and what else the mesh does not hold, led over a joint by optical flow.

The flow goes from the picture before the joint to the one after it, the face in both warped to the pose half way. In
the face it is 0. It is used only where it brings the two pictures nearer to each other.

Source: cv2.DISOpticalFlow (Kroeger et al. 2016, Fast Optical Flow using Dense Inverse Search)
"""

import cv2
import numpy as np

from tasks.dubbing.blend import as_array
from tasks.features.face_track import Frame

FACE = 1.1  # of the face's outline about its middle: no flow within
RIM = 0.08  # of the face's height, over which the flow sets in
SMOOTH = 0.015  # of the picture's height: blur of the flow
LEAST_GAIN = 0.9  # the difference that remains, over that without flow
LONGER_PX = 640  # side of the pictures between which flow is computed


def flow(one_HW3: Frame, other_HW3: Frame, face_P2: np.ndarray) -> np.ndarray | None:
    """How the pixels outside the face move from one picture to the other, px; None where that is not found.

    face_P2: the face's points, the same in both.  Shape: -> (H, W, 2) float32
    """
    one, other = as_array(one_HW3), as_array(other_HW3)
    height, width = one.shape[:2]
    shrink = min(1.0, LONGER_PX / max(height, width))
    size_wh = (round(width * shrink), round(height * shrink))
    small = [
        cv2.cvtColor(cv2.resize(p, size_wh, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for p in (one, other)
    ]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow_HW2 = cv2.GaussianBlur(
        search.calc(small[0], small[1], np.zeros((*size_wh[::-1], 2), np.float32)), (0, 0), SMOOTH * size_wh[1]
    )
    flow_HW2 = cv2.resize(flow_HW2, (width, height), interpolation=cv2.INTER_LINEAR) / np.float32(shrink)
    outside_HW = outside(face_P2, (height, width))
    flow_HW2 *= outside_HW[..., None]
    before = _difference(one, other, outside_HW)
    after = _difference(shifted(one, flow_HW2, -0.5), shifted(other, flow_HW2, 0.5), outside_HW)
    return flow_HW2 if after < LEAST_GAIN * before else None


def outside(face_P2: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """0 in the face, 1 away from it.  Shape: -> (H, W) float32"""
    outline = cv2.convexHull(face_P2.astype(np.float32))[:, 0]
    middle_2 = outline.mean(axis=0)
    mask_HW = np.ones(size_hw, np.float32)
    cv2.fillConvexPoly(mask_HW, np.round(middle_2 + FACE * (outline - middle_2)).astype(np.int32), 0.0)
    return cv2.GaussianBlur(mask_HW, (0, 0), max(1.0, RIM * float(np.ptp(outline[:, 1]))))


def shifted(picture_HW3: Frame, flow_HW2: np.ndarray, share: float) -> np.ndarray:
    """Each pixel taken from `share` of the flow away.  Shape: -> (H, W, 3) uint8"""
    height, width = flow_HW2.shape[:2]
    x_HW = np.arange(width, dtype=np.float32) + np.float32(share) * flow_HW2[..., 0]
    y_HW = np.arange(height, dtype=np.float32)[:, None] + np.float32(share) * flow_HW2[..., 1]
    return cv2.remap(as_array(picture_HW3), x_HW, y_HW, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _difference(one_HW3: np.ndarray, other_HW3: np.ndarray, weight_HW: np.ndarray) -> float:
    return float((cv2.absdiff(one_HW3, other_HW3).mean(axis=2) * weight_HW).mean())
