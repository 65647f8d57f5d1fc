"""Geometry of one person's lower face: triangles, the points that move with the mouth, and the region that may change.

It is built once, on the canonical head, from the person's closed mouth; per frame only the points move. Points that are
nan, as those which shards do not store, are left out.

Lips are triangulated from their outer and inner edges only, and skin points start at a small distance from them: the
mesh points in between are inaccurate, and their triangles would fold over where the lips move far.

Shape letters: P = 468 points of the mesh, S = 59 of the mouth, R points of the ring under the jaw, V vertices in use
"""

import cv2
import numpy as np
from scipy.spatial import Delaunay

from model.head_mesh import INNER, MOUTH, OUTER

NUM_POINTS = 468
JAW_LINE = (454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234)
SIDES = (454, 323, 361, 288, 234, 93, 132, 58)  # part of the jaw line that does not move in speech
NOSE, CHIN, LIP_MIDDLE, CORNERS = 2, 152, (13, 14), (61, 291)

# in eye distances (outer corner to outer corner)
ABOVE = 0.03  # the triangles begin this far above the nose's base
CLEAR = 0.05  # skin points lie at least this far from the lips
BELOW = 0.30  # the ring that never moves lies this far beyond the jaw
NEIGHBOUR = 0.12  # radius within which skin follows a point of the mouth
OPENED = 0.03  # each lip is moved by this much while the triangles are built

# The region: a superellipse around the lips, up to the nose, down to the chin, sideways to the fold of the cheek
WIDE, HIGH, DEEP = 1.75, 0.98, 0.93  # in half mouth widths, distances to the nose, distances to the chin
SQUARENESS = 2.4
RIM = 0.42  # share of the radius over which the weight rises from 0 to 1


class Geometry:
    """
    triangles_N3  indices of the vertices, all wound the same way: a triangle that a warp flips is not drawn
    place_V2      positions of the vertices on the canonical head
    """

    def __init__(self, closed_P3: np.ndarray) -> None:
        """closed_P3: the person's mesh on the canonical head with the mouth closed"""
        lips_2 = closed_P3[list(LIP_MIDDLE), :2].mean(axis=0)
        self.lips_2 = lips_2
        self.radii = (
            WIDE * abs(float(closed_P3[CORNERS[1], 0] - closed_P3[CORNERS[0], 0])) / 2,
            HIGH * float(lips_2[1] - closed_P3[NOSE, 1]),
            DEEP * float(closed_P3[CHIN, 1] - lips_2[1]),
        )
        outline = closed_P3[list(OUTER), :2].astype(np.float32)
        skin = [
            i for i in range(NUM_POINTS)
            if i not in OUTER + INNER
            and closed_P3[i, 1] > closed_P3[NOSE, 1] - ABOVE
            and cv2.pointPolygonTest(outline, _point(closed_P3[i]), True) < -CLEAR
        ]  # fmt: skip
        self.jaw = [i for i in JAW_LINE if i in skin]
        away_R3 = closed_P3[self.jaw] - np.append(lips_2, 0)
        away_R3[:, 2] = 0
        self.ring_R3 = BELOW * away_R3 / np.linalg.norm(away_R3[:, :2], axis=1, keepdims=True)
        laid_out = self._with_ring(closed_P3)[:, :2].copy()
        laid_out[list(INNER[1:10]), 1] += OPENED
        laid_out[list(INNER[11:]), 1] -= OPENED
        ring = list(range(NUM_POINTS, len(laid_out)))
        triangles = np.concatenate([_skin(laid_out, [*OUTER, *skin, *ring], outline), lip_triangles()])
        over = _doubled_area(laid_out, triangles) > 0
        triangles[over] = triangles[over][:, ::-1]
        self.used_V = np.unique(triangles)
        number = np.full(len(laid_out), -1)
        number[self.used_V] = np.arange(len(self.used_V))
        self.triangles_N3 = number[triangles].astype(np.int32)
        self.place_V2 = self._with_ring(closed_P3)[self.used_V, :2]
        self.along_PS = along(closed_P3)

    def vertices(self, mesh_P3: np.ndarray, turn_33: np.ndarray) -> np.ndarray:
        """The vertices of a mesh in a frame; `turn_33` turns the ring with the head.  Shape: -> (V, 2) px"""
        return np.concatenate([mesh_P3, mesh_P3[self.jaw] + self.ring_R3 @ turn_33])[self.used_V, :2]

    def ring(self) -> np.ndarray:
        """Which vertices belong to the ring.  Shape: -> (V,) bool"""
        return self.used_V >= NUM_POINTS

    def weight(self, place_xy: np.ndarray) -> np.ndarray:
        """Weight of the new mouth at a position on the canonical head.  Shape: (..., 2) -> (...) in [0, 1]"""
        wide, high, deep = self.radii
        x, y = (place_xy[..., k] - self.lips_2[k] for k in (0, 1))
        radius = ((np.abs(x) / wide) ** SQUARENESS + (np.abs(y) / np.where(y < 0, high, deep)) ** SQUARENESS) ** (
            1 / SQUARENESS
        )
        share = np.clip((1 - radius) / RIM, 0, 1)
        return (share * share * (3 - 2 * share)).astype(np.float32)

    def _with_ring(self, mesh_P3: np.ndarray) -> np.ndarray:
        return np.concatenate([mesh_P3, mesh_P3[self.jaw] + self.ring_R3])


def lip_triangles() -> np.ndarray:
    """Triangles between the outer and inner lip edges, and inside the mouth.  Shape: -> (58, 3) mesh points"""
    triangles = []
    for k in range(20):
        after = (k + 1) % 20
        triangles += [(OUTER[k], OUTER[after], INNER[k]), (OUTER[after], INNER[after], INNER[k])]
    for k in range(10):
        over, over_next = (20 - k) % 20, 19 - k
        triangles += [(INNER[k], INNER[k + 1], INNER[over])] if k else []
        triangles += [(INNER[k + 1], INNER[over_next], INNER[over])] if k < 9 else []
    return np.array(triangles)


def along(closed_P3: np.ndarray) -> np.ndarray:
    """How much each point follows each point of the mouth; points above the nose's base stay.  Shape: -> (P, S)"""
    mouth, known_P = set(MOUTH), np.isfinite(closed_P3[:, 1])
    still = [
        i for i in np.flatnonzero(known_P).tolist()
        if i not in mouth and (closed_P3[i, 1] < closed_P3[NOSE, 1] or i in SIDES)
    ]  # fmt: skip
    known = [*MOUTH, *still]
    away_PK = np.linalg.norm(closed_P3[:, None, :2] - closed_P3[None, known, :2], axis=2)
    weights_PK = np.exp(-((away_PK / NEIGHBOUR) ** 2)) + 1e-6 * np.exp(-away_PK)
    weights_PK /= weights_PK.sum(axis=1, keepdims=True)
    weights_PK[known] = np.eye(len(known))
    return weights_PK[:, : len(MOUTH)]


def _skin(laid_out: np.ndarray, points: list[int], outline: np.ndarray) -> np.ndarray:
    """Triangles of the skin, without those across the lips."""
    triangles = np.array(points)[Delaunay(laid_out[points]).simplices]
    middles = laid_out[triangles].mean(axis=1)
    outside = [cv2.pointPolygonTest(outline, _point(middle), False) < 0 for middle in middles]
    return triangles[outside]


def _doubled_area(points_P2: np.ndarray, triangles_N3: np.ndarray) -> np.ndarray:
    a, b, c = (points_P2[triangles_N3[:, k]] for k in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])


def _point(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])
