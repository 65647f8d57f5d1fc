"""The first frames of a video as one array."""

import contextlib
import itertools

import numpy as np

from tasks.media import decode


def first_frames(source, num):
    """Shape: -> (T, H, W, 3) uint8, T <= num"""
    with contextlib.closing(decode.frames(source)) as frames:
        return np.stack(list(itertools.islice(frames, num)))
