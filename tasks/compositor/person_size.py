"""How far the person of a library moves the mouth in speech: model.mouth_size of the footage and its own sound."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from model import head_mesh, mouth_size
from model.motion import Motion
from model.timing import SAMPLE_RATE_HZ
from tasks.compositor.library import Library

MOST_S = 120.0  # of each video: two minutes of speech tell the size to within 2 %


class Heard(NamedTuple):
    """A video's own sound, 16 kHz from its first picture on, and the middles of its frames in s.  Shape: (n,), (T,)"""

    sound_N: np.ndarray
    middles_s: np.ndarray


def size(motion: Motion, mouths: Library, heard: Mapping[int, Heard]) -> float:
    """Factor from the average person's motion to this person's.  heard: number of a library's video -> its sound"""
    filmed, predicted = [np.zeros(0)], [np.zeros(0)]
    for film, (sound_N, middles_s) in heard.items():
        sound_N = sound_N[: round(MOST_S * SAMPLE_RATE_HZ)]
        mine_N = mouths.film_N == film
        at_s = middles_s[mouths.frame_N[mine_N]]
        within_N = at_s < len(sound_N) / SAMPLE_RATE_HZ
        if within_N.any():
            said_NS3 = motion.mouths(sound_N, at_s[within_N], mouths.closed_S3)
            predicted.append(head_mesh.mouth_opening(said_NS3))
            meshes = mouths.footage[film].mesh_T4683[mouths.frame_N[mine_N][within_N]]  # not smoothed, unlike the heads
            filmed.append(head_mesh.opening(meshes))
    return mouth_size.size(np.concatenate(filmed), np.concatenate(predicted))
