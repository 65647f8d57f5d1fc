"""Pictures of a person's mouth, cut from a video's frames: JPEGs of full chroma, one after another in a file.

Shape letters: T frames of the video
"""

import itertools
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from tasks.features.face_track import Frame

MOUTHS = "mouths.bin"
# Jaw and nose: they span the mouth picture's box
AROUND = (172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 2, 98, 327)
MARGIN = 0.06  # share of the box's sides
JPEG_QUALITY = 98
Box = tuple[int, int, int, int]  # left, top, right, bottom, px


def box_of(size_hw: Sequence[int], points_4683: np.ndarray) -> Box | None:
    """Where the mouth picture is cut; None where fewer than 4 px are in the frame."""
    corners = points_4683[list(AROUND), :2]
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = MARGIN * (high - low) + 2
    height, width = size_hw[:2]
    left, top = (max(0, int(n)) for n in np.floor(low - room))
    right, bottom = (min(int(n), most) for n, most in zip(np.ceil(high + room), (width, height), strict=True))
    return None if right - left < 4 or bottom - top < 4 else (left, top, right, bottom)


def written(file: BinaryIO, frame_HW3: Frame, box: Box) -> tuple[int, int, int, int]:
    """Write a mouth picture as JPEG; returns its row of `at_T4`."""
    left, top, right, bottom = box
    flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
             cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]  # fmt: skip
    _, coded = cv2.imencode(".jpg", frame_HW3[top:bottom, left:right][..., ::-1], flags)
    start = file.tell()
    file.write(coded.tobytes())
    return start, len(coded), left, top


def cut(frames: Iterable[Frame], box_T4: np.ndarray, wanted: Collection[int], folder: Path) -> np.ndarray:
    """Write the mouth pictures of the frames `wanted`.  Shape: -> (T, 4) int64, `at_T4`"""
    at_T4, last = np.zeros(box_T4.shape, np.int64), max(wanted, default=-1)
    with (folder / MOUTHS).open("wb") as file:
        for t, frame_HW3 in enumerate(itertools.islice(frames, last + 1)):
            if t in wanted:
                at_T4[t] = written(file, frame_HW3, tuple(box_T4[t].tolist()))
    return at_T4


def read(file: Path, start: int, length: int) -> np.ndarray:
    """Shape: -> (h, w, 3) uint8 RGB"""
    with file.open("rb") as opened:
        opened.seek(start)
        coded = np.frombuffer(opened.read(length), np.uint8)
    picture = cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)
    assert picture is not None  # it was made by `written`
    return picture
