"""The planes of a yuv420p frame, as decoders give and encoders take them, and RGB of parts of them."""

from typing import Any

import av
import cv2
import numpy as np

from tasks.media.encode import ACCURATE, BT601, BT709, colour_matrix

UNSPECIFIED = 2  # matrix coefficients in ISO/IEC 23091-2
PLANAR = "yuv420p"
LIKE_BT601, FULL_RANGE = (5, BT601), 2  # matrices that are BT.601's, and the range, in ISO/IEC 23091-2
# limited range stretched to JPEG's YCbCr, which OpenCV converts to RGB three times as fast as swscale does BT.601
LUMA = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
COLOUR = np.clip(np.round((np.arange(256) - 128) * 255 / 224 + 128), 0, 255).astype(np.uint8)
RED, BLUE = 0.2126, 0.0722  # shares of luminance.  Source: ITU-R BT.709


def _rgb_of_bt709() -> np.ndarray:
    """What makes RGB of limited range luminance, blue, red, and 1.  Shape: -> (3, 4)"""
    light, colour, green = 255 / 219, 255 / 224, 1 - RED - BLUE
    blue, red = 2 * (1 - BLUE) * colour, 2 * (1 - RED) * colour
    to_rgb_33 = np.array(
        [[light, 0, red], [light, -blue * BLUE / green, -red * RED / green], [light, blue, 0]]
    )  # fmt: skip
    to_rgb_33 = np.round(to_rgb_33 * 1024) / 1024  # as cv2.transform rounds it: grey stays grey
    return np.column_stack([to_rgb_33, -to_rgb_33 @ [16, 128, 128]])


RGB_OF_BT709_34 = _rgb_of_bt709()  # twice as fast as swscale


def coded(picture_HW3: np.ndarray, num_rows: int) -> av.VideoFrame:
    """RGB as yuv420p, with the usual colour matrix of a picture of `num_rows`.  Shape: (H, W, 3) uint8, H and W even"""
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(picture_HW3), format="rgb24").reformat(
        format=PLANAR, dst_colorspace=colour_matrix(num_rows), interpolation=ACCURATE, threads=1
    )


def usual_matrix(frame: av.VideoFrame) -> int | None:
    """BT601 or BT709 where `rgb` can read the frame."""
    if frame.format.name != PLANAR or frame.color_range == FULL_RANGE:
        return None
    number = colour_matrix(frame.height) if frame.colorspace == UNSPECIFIED else frame.colorspace
    return BT601 if number in LIKE_BT601 else BT709 if number == BT709 else None


def rgb(frame: av.VideoFrame, top: int, bottom: int, left: int, right: int, matrix: int) -> np.ndarray:
    """RGB of a part of a BT.601 or BT.709 picture; colour planes are enlarged bilinearly.

    Shape: -> (rows, columns, 3) uint8
    """
    if top == bottom or left == right:
        return np.empty((bottom - top, right - left, 3), np.uint8)
    luma, *colours = (rows(plane) for plane in frame.planes)
    low_y, low_x = max(0, top // 2 - 1), max(0, left // 2 - 1)  # enlarging reads one sample further
    num_rows, num_columns = (frame.height + 1) // 2, (frame.width + 1) // 2
    high_y, high_x = min(num_rows, (bottom + 1) // 2 + 1), min(num_columns, (right + 1) // 2 + 1)
    size = (2 * (high_x - low_x), 2 * (high_y - low_y))
    at = slice(top - 2 * low_y, bottom - 2 * low_y), slice(left - 2 * low_x, right - 2 * low_x)
    blue, red = (plane[low_y:high_y, low_x:high_x] for plane in colours)
    if matrix == BT601:
        blue, red = cv2.LUT(blue, COLOUR), cv2.LUT(red, COLOUR)
    blue, red = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)[at] for plane in (blue, red))
    luma = luma[top:bottom, left:right]
    if matrix == BT709:
        return cv2.transform(cv2.merge([luma, blue, red]), RGB_OF_BT709_34)
    return cv2.cvtColor(cv2.merge([cv2.LUT(luma, LUMA), red, blue]), cv2.COLOR_YCrCb2RGB)


def cut(frame: av.VideoFrame, top: int, bottom: int, left: int, right: int) -> av.VideoFrame:
    """A copy of a part of a yuv420p frame, whose corners are at even pixels or at the frame's edge, or of all of it.

    PyAV cannot set the position of a new frame's colour samples, so all copies are read with an unspecified position,
    which is also how tasks/media/encode.py writes them.
    """
    part = av.VideoFrame(right - left, bottom - top, PLANAR)
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    for number, (source, target) in enumerate(zip(frame.planes, part.planes, strict=True)):
        step = 2 if number else 1
        low_y, low_x, into = top // step, left // step, rows(target)
        into[:, : target.width] = rows(source)[low_y : low_y + len(into), low_x : low_x + target.width]
    return part


def rows(plane: Any) -> np.ndarray:
    """A view of a plane's bytes (PyAV's types do not say that it is a buffer).  Shape: -> (rows, line_size) uint8"""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
