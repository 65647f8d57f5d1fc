"""A decoded picture that is converted to RGB only where it is read: most of a frame is neither face nor searched.

`Picture` is read like the array (H, W, 3) it stands for, with `picture.shape` and `picture[top:bottom, left:right]`,
and gives the same bytes: code that takes slices works on pictures and arrays alike.
"""

from typing import Any

import av
import cv2
import numpy as np

from tasks.media.encode import ACCURATE, BT601, colour_matrix

UNSPECIFIED = 2  # matrix coefficients in ISO/IEC 23091-2
REACH_PX = 8  # the reach of the colour planes' filter; even, so that the filter keeps its phase
PLANAR = "yuv420p"
LIKE_BT601, FULL_RANGE = (5, BT601), 2  # matrices that are BT.601's, and the range, in ISO/IEC 23091-2
# limited range stretched to JPEG's YCbCr, which OpenCV converts to RGB three times as fast as swscale does BT.601
LUMA = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
COLOUR = np.clip(np.round((np.arange(256) - 128) * 255 / 224 + 128), 0, 255).astype(np.uint8)


class Picture:
    """One frame of a video, as decoded.

    size: (width, height) to scale to, as stored, before any rotation.  own: no decoder holds the planes, too
    """

    def __init__(self, frame: av.VideoFrame, size: tuple[int, int], own: bool = False) -> None:
        self._frame, self._size, self._own = frame, size, own
        self._turns = round(frame.rotation / 90)
        width, height = size if self._turns % 2 == 0 else size[::-1]
        self.shape = (height, width, 3)

    @property
    def nbytes(self) -> int:
        """Memory that the picture takes."""
        return sum(plane.line_size * plane.height for plane in self._frame.planes)

    def __getitem__(self, at: tuple[slice, slice]) -> np.ndarray:
        """Rows and columns, as a copy.  Shape: -> (rows, columns, 3) uint8 RGB"""
        frame = self._frame
        (top, bottom, _), (left, right, _) = (cut.indices(n) for cut, n in zip(at, self.shape, strict=False))
        if frame.format.name != PLANAR or self._turns or self._size != (frame.width, frame.height):
            return np.ascontiguousarray(self.rgb()[top:bottom, left:right])
        if self._is_usual():
            return _of_planes(frame, top, max(top, bottom), left, max(left, right))
        low_y, low_x = (max(0, (n - REACH_PX) // 2 * 2) for n in (top, left))
        high_y = min(frame.height, (bottom + REACH_PX + 1) // 2 * 2)
        high_x = min(frame.width, (right + REACH_PX + 1) // 2 * 2)
        part = self._rgb(_cut(frame, low_y, high_y, low_x, high_x), high_x - low_x, high_y - low_y)
        return np.ascontiguousarray(part[top - low_y : bottom - low_y, left - low_x : right - low_x])

    def luma(self) -> np.ndarray:
        """Luminance as stored; a view that must be read at once.  Shape: -> (H, W) uint8; black is 16 in most files"""
        frame = self._frame
        return _rows(frame.planes[0])[:, : frame.width] if frame.format.name == PLANAR else self.rgb()[..., 1]

    def rgb(self) -> np.ndarray:
        """The whole picture, upright.  Shape: -> (H, W, 3) uint8"""
        frame = self._frame
        if self._is_usual() and self._size == (frame.width, frame.height):
            whole = _of_planes(frame, 0, frame.height, 0, frame.width)
        elif frame.format.name == PLANAR:
            whole = self._rgb(_cut(frame, 0, frame.height, 0, frame.width), *self._size)
        else:
            whole = self._rgb(frame, *self._size)
        return np.ascontiguousarray(np.rot90(whole, self._turns))

    def is_coded(self) -> bool:
        """Whether its planes have the form that `coded` gives to RGB: encoded as they are, no conversion loses
        anything.
        """
        frame = self._frame
        matrix = colour_matrix(frame.height)
        return (
            frame.format.name == PLANAR
            and not self._turns
            and self._size == (frame.width, frame.height)
            and frame.width % 2 == frame.height % 2 == 0
            and frame.color_range != FULL_RANGE
            and (frame.colorspace in (UNSPECIFIED, matrix) or {frame.colorspace, matrix} <= set(LIKE_BT601))
        )

    def frame(self) -> av.VideoFrame:
        """Its planes, to be encoded; a copy where a decoder holds them, too."""
        return self._frame if self._own else _cut(self._frame, 0, self._frame.height, 0, self._frame.width)

    def patched(self, left: int, top: int, patch_HW3: np.ndarray, changed_HW: np.ndarray) -> "Picture":
        """This picture with some pixels replaced; if it `is_coded`, all other pixels keep their exact values.

        Shape: left, top even; patch (H, W, 3) uint8 RGB and (H, W) bool: which of its pixels to use, H and W even
        """
        whole = _cut(self._frame, 0, self._frame.height, 0, self._frame.width)
        height, width = changed_HW.shape
        assert left % 2 == top % 2 == height % 2 == width % 2 == 0, (left, top, height, width)
        of_two_rows = changed_HW[::2] | changed_HW[1::2]
        anywhere_HW = of_two_rows[:, ::2] | of_two_rows[:, 1::2]
        planes = zip(coded(patch_HW3, whole.height).planes, whole.planes, (1, 2, 2), strict=True)
        for source, target, step in planes:
            low_y, low_x, num_y, num_x = top // step, left // step, height // step, width // step
            place = _rows(target)[low_y : low_y + num_y, low_x : low_x + num_x]
            np.copyto(place, _rows(source)[:num_y, :num_x], where=changed_HW if step == 1 else anywhere_HW)
        return Picture(whole, self._size, own=True)

    def small(self, width: int, height: int) -> np.ndarray:
        """A grey thumbnail, as stored.  Shape: -> (height, width) uint8"""
        return self._frame.reformat(width, height, format="gray", interpolation="AREA", threads=1).to_ndarray()

    def _rgb(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        """Shape: -> (height, width, 3) uint8, as stored"""
        matrix = colour_matrix(self._frame.height) if frame.colorspace == UNSPECIFIED else None
        # without threads=1 PyAV >= 17 is 10-40 times slower here
        return frame.reformat(
            width, height, format="rgb24", src_colorspace=matrix, interpolation=ACCURATE, threads=1
        ).to_ndarray()

    def _is_usual(self) -> bool:
        frame = self._frame
        unnamed = frame.colorspace == UNSPECIFIED and colour_matrix(frame.height) in LIKE_BT601
        bt601 = unnamed or frame.colorspace in LIKE_BT601
        return frame.format.name == PLANAR and bt601 and frame.color_range != FULL_RANGE


def coded(picture_HW3: np.ndarray, num_rows: int) -> av.VideoFrame:
    """RGB as yuv420p, with the usual colour matrix of a picture of `num_rows`.  Shape: (H, W, 3) uint8, H and W even"""
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture_HW3), format="rgb24").reformat(
        format=PLANAR, dst_colorspace=colour_matrix(num_rows), interpolation=ACCURATE, threads=1
    )


def _of_planes(frame: av.VideoFrame, top: int, bottom: int, left: int, right: int) -> np.ndarray:
    """RGB of a part of a BT.601 picture; colour planes are enlarged bilinearly.  Shape: -> (rows, columns, 3) uint8"""
    if top == bottom or left == right:
        return np.empty((bottom - top, right - left, 3), np.uint8)
    luma, *colours = (_rows(plane) for plane in frame.planes)
    low_y, low_x = max(0, top // 2 - 1), max(0, left // 2 - 1)  # enlarging reads one sample further
    num_rows, num_columns = (frame.height + 1) // 2, (frame.width + 1) // 2
    high_y, high_x = min(num_rows, (bottom + 1) // 2 + 1), min(num_columns, (right + 1) // 2 + 1)
    size = (2 * (high_x - low_x), 2 * (high_y - low_y))
    at = slice(top - 2 * low_y, bottom - 2 * low_y), slice(left - 2 * low_x, right - 2 * low_x)
    blue, red = (
        cv2.resize(cv2.LUT(plane[low_y:high_y, low_x:high_x], COLOUR), size, interpolation=cv2.INTER_LINEAR)[at]
        for plane in colours
    )
    planes = [cv2.LUT(luma[top:bottom, left:right], LUMA), red, blue]
    return cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB)


def _cut(frame: av.VideoFrame, top: int, bottom: int, left: int, right: int) -> av.VideoFrame:
    """A copy of a part of a yuv420p frame, whose corners are at even pixels or at the frame's edge, or of all of it.

    PyAV cannot set the position of a new frame's colour samples, so all copies are read with an unspecified position,
    which is also how tasks/media/encode.py writes them.
    """
    part = av.VideoFrame(right - left, bottom - top, PLANAR)
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    for number, (source, target) in enumerate(zip(frame.planes, part.planes, strict=True)):
        step = 2 if number else 1
        low_y, low_x, into = top // step, left // step, _rows(target)
        into[:, : target.width] = _rows(source)[low_y : low_y + len(into), low_x : low_x + target.width]
    return part


def _rows(plane: Any) -> np.ndarray:
    """A view of a plane's bytes (PyAV's types do not say that it is a buffer).  Shape: -> (rows, line_size) uint8"""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
