"""Puts a new mouth into one frame: warps a library frame to the wanted mouth shape and blends it in.

The frame's own jaw and cheeks follow the mouth, so the chin goes down when the mouth opens. No pixel outside the region
changes.
"""

from typing import NamedTuple

import cv2
import numpy as np

from model import head_mesh, mouth_choice
from model.head_track import Heads
from tasks.compositor import inside, join, warp
from tasks.compositor.library import MOUTH, Library
from tasks.features import paste
from tasks.features.face_track import Frame

FULL_FROM = 0.5  # weight of a change: from here on all pixels are the library's, and the weight only scales the motion


class Composed(NamedTuple):
    frame_HW3: Frame
    seam_levels: float


def chosen(library: Library, wanted_TS3: np.ndarray, angles_T2: np.ndarray, light_T: np.ndarray) -> np.ndarray:
    """The best library mouth for each target frame, given its head angles and light levels.  Shape: -> (T,) int"""
    want_TD, opening_T = mouth_choice.features(wanted_TS3, angles_T2, light_T), head_mesh.mouth_opening(wanted_TS3)
    return mouth_choice.choose(
        library.features_ND, want_TD, library.next_N, library.visible_NE,
        lambda t, numbers: inside.lack(opening_T[t], library.opening_N[numbers]),
    )  # fmt: skip


def compose(
    frame_HW3: Frame, library: Library, heads: Heads, t: int, wanted_S3: np.ndarray, number: int, weight: float
) -> Composed:
    """`heads`: the target's, index t is this frame; `number`: index in the library; `weight` in (0, 1]"""
    geometry = library.geometry
    shape_P3 = heads.canonical_TP3[t]
    shift_P3 = geometry.along_PS @ (weight * (wanted_S3 - shape_P3[MOUTH]))
    target_V2 = geometry.vertices(heads.mesh(t), heads.turn_T33[t])
    wanted_V2 = geometry.vertices(heads.mesh(t, shape_P3 + shift_P3), heads.turn_T33[t])
    wanted_V2[geometry.ring()] = target_V2[geometry.ring()]
    maps = warp.maps(geometry, wanted_V2, target_V2, library.vertices_NV2[number], frame_HW3.shape[:2])
    if maps is None:
        return Composed(frame_HW3, 0.0)
    height, width = maps.weight_HW.shape
    rows, columns = slice(maps.top, maps.top + height), slice(maps.left, maps.left + width)
    original = frame_HW3[rows, columns]
    old = warp.moved(original, maps.jaw_2HW, (0, 0)) if maps.moved_HW.any() else original
    patch, seam_levels = old.copy(), 0.0
    if (visible := _visible(maps.weight_HW)) is not None:
        picture, (left, top) = library.picture(number)
        corner = (maps.left + visible[1].start - left, maps.top + visible[0].start - top)
        new = warp.moved(picture, [plane[visible] for plane in maps.library_2HW], corner)
        lacking = float(inside.lack(head_mesh.mouth_opening(wanted_S3[None]), library.opening_N[number])[0])
        if lacking > 0:
            mesh_P2 = heads.mesh(t, shape_P3 + shift_P3)[:, :2]
            mesh_P2 = mesh_P2 - [maps.left + visible[1].start, maps.top + visible[0].start]
            inner_202, outer_202 = mesh_P2[list(head_mesh.INNER)], mesh_P2[list(head_mesh.OUTER)]
            new = inside.filled_in(library.inside, new, inner_202, outer_202, heads.turn_T33[t], lacking)
        new = paste.grey_like(new, old[visible])
        share = min(1.0, weight / FULL_FROM)
        patch[visible], seam_levels = join.joined(new, old[visible], maps.weight_HW[visible], share)
    changed = (maps.weight_HW > 0) | maps.moved_HW
    return Composed(_patched(frame_HW3, rows, columns, patch, changed), seam_levels)


def _visible(weight_HW: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns in which the new mouth is visible; None where too few."""
    left, top, width, height = cv2.boundingRect((weight_HW > 0).view(np.uint8))
    if min(width, height) < warp.LEAST_PX:
        return None
    return slice(top, top + height), slice(left, left + width)


def _patched(frame_HW3: Frame, rows: slice, columns: slice, patch: np.ndarray, changed: np.ndarray) -> Frame:
    """Write the changed pixels into the frame. In a coded picture only these go through RGB."""
    if not isinstance(frame_HW3, np.ndarray) and frame_HW3.is_coded():
        return frame_HW3.patched(columns.start, rows.start, patch, changed)
    output = frame_HW3.copy() if isinstance(frame_HW3, np.ndarray) else frame_HW3.rgb()
    np.copyto(output[rows, columns], patch, where=changed[..., None])
    return output
