"""Where a new shot begins in a video, by thumbnails of its frames."""

import cv2
import numpy as np

from tasks.features.face_track import Frame
from tasks.media.frame import Picture

THUMB_WH = (32, 18)
# a cut changes the thumbnail by this many levels of 255, and this many times the usual change
CUT_LEVELS, CUT_TIMES = 18.0, 4.0
USUAL = 12  # changes within a shot whose median is the usual one


class Cuts:
    """Takes the frames of a video in order."""

    def __init__(self) -> None:
        self._thumb: np.ndarray | None = None
        self._changes: list[float] = []

    def is_cut(self, frame_HW3: Frame) -> bool:
        """Whether a new shot begins with this frame."""
        thumb, last = small(frame_HW3), self._thumb
        self._thumb = thumb
        if last is None:
            return False
        change = float(np.abs(thumb - last).mean())
        usual = float(np.median(self._changes)) if self._changes else 0.0
        cut = change > CUT_LEVELS and change > CUT_TIMES * usual
        self._changes = [] if cut else [*self._changes, change][-USUAL:]
        return cut


def small(frame_HW3: Frame) -> np.ndarray:
    """Shape: -> (18, 32) float32"""
    if isinstance(frame_HW3, Picture):
        return frame_HW3.small(*THUMB_WH).astype(np.float32)
    grey_HW = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey_HW, THUMB_WH, interpolation=cv2.INTER_AREA).astype(np.float32)
