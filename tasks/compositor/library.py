"""The library of one person's mouths, from one or more videos: appearance of each mouth, and which one follows it.

Shape letters: N mouths, S = 59 mouth points, V vertices of the person's geometry
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model import between_lips, head_mesh, mouth_choice
from model.head_track import Heads, angles_deg
from model.inside import InsideNet
from tasks.compositor.footage import Footage
from tasks.compositor.geometry import Geometry, along

CHUNK = 512  # frames processed together
MOST_TURNED_DEG = 40.0  # yaw or pitch: beyond it half of the mouth is hidden
AS_FILMED = 0.35  # smoothing of the library's shapes, frames: more, and a mouth shows more than its mesh says at a peak
PARTED = 0.04  # eye distances: lips further apart are closed by the jaw, the rest by the lips alone
LOWER_SHARE = 0.7  # the lower lip's share of the distance that closes the lips
HINGE_Y, HINGE_Z = 0.17, 0.55  # of the jaw, on the canonical head: before the ears
MOUTH = list(head_mesh.MOUTH)
# how far each point of the mouth turns with the jaw: lower lip and chin all the way, the lips' corners half
WITH_JAW_S = np.array([*[0.5, *[1.0] * 9, 0.5, *[0.0] * 9] * 2, *[1.0] * len(head_mesh.JAW)])


@dataclass
class Library:
    """
    closed_S3   the person's closed mouth on the canonical head
    opening_N   see head_mesh.mouth_opening
    features_ND what `mouth_choice` compares, visible_NE what it compares at jumps
    next_N      the mouth in the next frame of its video, -1: none
    inside      paints the inside of a mouth that is wanted wider open than the chosen one; None: it is darkened
    size        how far the person moves the mouth, relative to the average person: tasks.compositor.person_size
    """

    footage: Sequence[Footage]
    geometry: Geometry
    closed_S3: np.ndarray
    opening_N: np.ndarray
    features_ND: np.ndarray
    visible_NE: np.ndarray
    vertices_NV2: np.ndarray
    next_N: np.ndarray
    film_N: np.ndarray
    frame_N: np.ndarray
    inside: InsideNet | None = None
    size: float = 1.0

    def __len__(self) -> int:
        return len(self.frame_N)

    def picture(self, n: int) -> tuple[np.ndarray, tuple[int, int]]:
        return self.footage[self.film_N[n]].picture(int(self.frame_N[n]))


def build(footage: Sequence[Footage], inside: InsideNet | None = None) -> Library | None:
    """None where no frame of the videos shows a usable mouth."""
    parts = [(film, *part) for film, one in enumerate(footage) for part in _chunks(one)]
    if not parts:
        return None
    mouths_NS3 = np.concatenate([heads.canonical_TP3[:, MOUTH] for _, _, heads in parts])
    opening_N = head_mesh.mouth_opening(mouths_NS3)
    shut_N = opening_N <= np.quantile(opening_N, head_mesh.RESTING)
    ends = np.cumsum([len(frames) for _, frames, _ in parts])[:-1]
    resting = [heads.canonical_TP3[mine] for (_, _, heads), mine in zip(parts, np.split(shut_N, ends), strict=True)]
    closed_P3 = closed_head(np.concatenate(resting))
    geometry = Geometry(closed_P3)
    frame_N = np.concatenate([frames for _, frames, _ in parts])
    film_N = np.concatenate([np.full(len(frames), film) for film, frames, _ in parts])
    run_N = np.concatenate([footage[film].run_T[frames] for film, frames, _ in parts])
    light_N = np.concatenate([footage[film].light_T[frames] for film, frames, _ in parts])
    between_N6 = np.concatenate([footage[film].between_T6[frames] for film, frames, _ in parts])
    angles_N2 = np.concatenate([angles_deg(heads) for _, _, heads in parts])
    features_ND = mouth_choice.features(mouths_NS3, angles_N2, light_N)
    follows = (np.diff(frame_N) == 1) & (np.diff(film_N) == 0) & (np.diff(run_N) == 0)
    return Library(
        footage,
        geometry,
        closed_P3[MOUTH],
        opening_N,
        features_ND,
        mouth_choice.visible(features_ND, between_lips.looks(between_N6, mouths_NS3)),
        np.concatenate([vertices(geometry, heads) for _, _, heads in parts]),
        np.append(np.where(follows, np.arange(1, len(frame_N)), -1), -1),
        film_N,
        frame_N,
        inside,
    )


def closed_head(resting_NP3: np.ndarray) -> np.ndarray:
    """The person's head with the mouth closed, from canonical heads at rest.  Shape: (N, P, 3) -> (P, 3)

    A smile, a singer's footage and a picture with parted lips have no closed mouth: theirs is closed by the jaw.
    """
    closed_P3: np.ndarray = resting_NP3.mean(axis=0)
    closed_P3 = closed_P3 + along(closed_P3) @ (jaw_raised(closed_P3[MOUTH]) - closed_P3[MOUTH])
    closed_P3[MOUTH] = shut(closed_P3[MOUTH])
    return closed_P3


def jaw_raised(mouth_S3: np.ndarray) -> np.ndarray:
    """The jaw turned about its hinge until the lips are at most PARTED.  Shape: (59, 3) canonical -> the same, new"""
    lower = mouth_S3[list(head_mesh.LOWER_INNER)][head_mesh.MIDDLE].mean(axis=0)
    excess = max(0.0, float(head_mesh.mouth_opening(mouth_S3[None])[0]) - PARTED)
    angle_S = WITH_JAW_S * np.arcsin(min(1.0, excess / (HINGE_Z - lower[2])))
    y_S, z_S = mouth_S3[:, 1] - HINGE_Y, mouth_S3[:, 2] - HINGE_Z
    turned_S3 = mouth_S3.copy()
    turned_S3[:, 1] += y_S * (np.cos(angle_S) - 1) + z_S * np.sin(angle_S)
    turned_S3[:, 2] += z_S * (np.cos(angle_S) - 1) - y_S * np.sin(angle_S)
    return turned_S3


def shut(closed_S3: np.ndarray) -> np.ndarray:
    """Close an almost closed mouth: lips rarely touch in the mesh of a mouth at rest.

    The lower lip moves most of the distance.
    Shape: (59, 3) canonical -> the same, new
    """
    closed_S3 = head_mesh.without_overlap(closed_S3[None])[0]
    lower, upper = list(head_mesh.LOWER_INNER), list(head_mesh.UPPER_INNER)
    gap_9 = closed_S3[lower, 1] - closed_S3[upper, 1]
    closed_S3[lower, 1] -= LOWER_SHARE * gap_9
    closed_S3[upper, 1] += (1 - LOWER_SHARE) * gap_9
    return closed_S3


def vertices(geometry: Geometry, heads: Heads) -> np.ndarray:
    """Shape: -> (T, V, 2) float32 px"""
    return np.stack([geometry.vertices(heads.mesh(t), heads.turn_T33[t]) for t in range(len(heads.shift_T3))]).astype(
        np.float32
    )


def usable(heads: Heads) -> np.ndarray:
    """Whether the view is frontal enough to use the mouth.  Shape: -> (T,) bool"""
    return (np.abs(angles_deg(heads)) < MOST_TURNED_DEG).all(axis=1)


def _chunks(footage: Footage) -> Iterator[tuple[np.ndarray, Heads]]:
    """Frames with a picture of a usable mouth, and their heads, with crossed lips separated."""
    for low in range(0, len(footage.run_T), CHUNK):
        frames, heads = footage.heads(low, low + CHUNK, AS_FILMED)
        good = (footage.at_T4[frames, 1] > 0) & usable(heads)
        if good.any():
            yield frames[good], apart(Heads(*(part[good] for part in heads)))


def apart(heads: Heads) -> Heads:
    """Separate lip points that cross slightly in a closed mouth, so that the lips touch."""
    canonical_TP3 = heads.canonical_TP3.copy()
    canonical_TP3[:, MOUTH] = head_mesh.without_overlap(canonical_TP3[:, MOUTH])
    return heads._replace(canonical_TP3=canonical_TP3)
