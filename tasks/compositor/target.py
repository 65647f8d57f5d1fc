"""The video whose mouth is changed: its heads, which frames can be changed, and the changed frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.head_track import Heads, angles_deg
from tasks.compositor import compose, library
from tasks.compositor.compose import Composed
from tasks.compositor.footage import Footage
from tasks.compositor.library import Library
from tasks.core.ahead import mapped
from tasks.core.torch_threads import one_thread
from tasks.features.face_track import Frame

LEAST_EYES_PX = 12.0  # between the eyes' outer corners: smaller faces are not changed
CHUNK = 512  # frames processed together
COMPOSERS = 2  # threads: they make frames about as fast as one encodes them


@dataclass(frozen=True)
class Target:
    """A recorded video, and why a frame cannot be changed ("" where it can).

    angles_T2 in degrees; why_T of str
    """

    footage: Footage
    angles_T2: np.ndarray
    why_T: np.ndarray


def target(film: Footage, size_hw: tuple[int, int]) -> Target:
    angles_T2 = np.full((len(film.run_T), 2), np.nan)
    why_T = np.where(film.run_T < 0, "no_mesh", "").astype("<U8")
    for low in range(0, len(film.run_T), CHUNK):
        frames, heads = film.heads(low, low + CHUNK)
        angles_T2[frames] = angles_deg(heads)
        for k, t in enumerate(frames.tolist()):
            why_T[t] = _why(heads, k, size_hw)
    return Target(film, angles_T2, why_T)


def _why(heads: Heads, t: int, size_hw: tuple[int, int]) -> str:
    """Why the mouth of a head cannot be changed, "" where it can."""
    lips_2 = heads.mesh(t)[library.MOUTH[:40], :2]
    height, width = size_hw
    if np.linalg.norm(heads.turn_T33[t, 0]) < LEAST_EYES_PX:  # the eye distance is 1 on the canonical head
        return "small"
    if lips_2.min() < 0 or lips_2[:, 0].max() > width or lips_2[:, 1].max() > height:
        return "cut_off"
    return "" if library.usable(Heads(*(part[t : t + 1] for part in heads)))[0] else "profile"


def chosen(
    target: Target, mouths: Library, wanted_NS3: np.ndarray, source_N: np.ndarray, changed_N: np.ndarray
) -> np.ndarray:
    """Library index of the mouth for each changed output frame, -1 elsewhere.

    source_N    frame of the video that each output frame shows
    Shape:  (N, 59, 3) on the canonical head, (N,) int, (N,) bool -> (N,) int
    """
    path_N = np.full(len(changed_N), -1)
    bounds = np.flatnonzero(np.diff(changed_N.astype(np.int8), prepend=0, append=0))
    for first, end in bounds.reshape(-1, 2).tolist():
        sources = source_N[first:end]
        path_N[first:end] = compose.chosen(
            mouths, wanted_NS3[first:end], target.angles_T2[sources], target.footage.light_T[sources]
        )
    return path_N


def composed(
    target: Target,
    mouths: Library,
    batch: Sequence[Frame],
    source_B: np.ndarray,
    wanted_BS3: np.ndarray,
    path_B: np.ndarray,
    weight_B: np.ndarray,
) -> Iterator[Composed]:
    """Frames of the video with the wanted mouths, in order.

    Shape: B frames, (B,) int ascending, (B, 59, 3), (B,) int, (B,)
    """
    frames, heads = target.footage.heads(int(source_B.min()), int(source_B.max()) + 1)
    heads, within_B = library.apart(heads), np.searchsorted(frames, source_B)
    rows = zip(batch, within_B.tolist(), wanted_BS3, path_B.tolist(), weight_B.tolist(), strict=True)

    def made(row: tuple[Frame, int, np.ndarray, int, float]) -> Composed:
        frame, k, wanted_S3, number, weight = row
        with one_thread():  # the painted inside
            return compose.compose(frame, mouths, heads, k, wanted_S3, number, weight)

    return mapped(made, rows, COMPOSERS)
