"""One person's head as a mesh: everything that can be computed before the first frame.

Shape letters: R rows of both sheets, C columns, N triangles
"""

import numpy as np

from model import seeds
from tasks.synthetic import deform, eyes, grid, hair, mouth, points, skin
from tasks.synthetic.curves import Array, step
from tasks.synthetic.identity import Identity
from tasks.synthetic.mouth import Mouth


class Head:
    """The mesh of a person; the same for the same person.

    shell_N3      triangles of the two sheets, which are closed: their backs need not be drawn
    detail_N3     triangles of the parts, then the patches (mouth's inside; ears and hair), seen from both sides;
                  indices count from the first point of the parts
    landmarks_68  indices of the landmarks among the points of the sheets
    """

    def __init__(self, person: Identity) -> None:
        rng = seeds.generator(person.seed, "mesh")
        self.person = person
        self.grid = grid.build(person, rng)
        grown = hair.grow(person, self.grid, rng)
        rest_RC3 = np.stack([self.grid.x_RC, self.grid.y_RC, self.grid.z_RC], axis=-1)
        self.seam_z = float(rest_RC3[self.grid.num_upper - 1, rest_RC3.shape[1] // 2, 2])
        rest_RC3 = rest_RC3 + grown.offset_RC3
        rest_RC3[..., 1] *= person.height
        self.rest_RC3 = rest_RC3.astype(np.float32)
        self.colour_RC3, self.shine_RC = skin.paint(person, self.grid, grown.cover_RC, rng)
        self.muscles = deform.prepare(person, self.grid)
        self.eyes = eyes.find(person, self.grid)
        self.parts = mouth.parts(person, self.seam_z, rng)
        self.patches = hair.patches(person, rng)
        self.patch_normals = [_patch_normals(patch.points_RC3) for patch in self.patches]
        self.landmarks_68 = points.landmarks(person, self.grid)
        beside = np.abs(self.grid.x_RC[self.grid.num_upper])
        self._closed_C1 = step(person.mouth_width * 0.92, person.mouth_width * 1.06, beside).astype(np.float32)[:, None]
        self._rest_normals_RC3 = self._sheet_normals(self.rest_RC3, 0)
        self.shell_N3, self.detail_N3 = self._triangles()

    def positions(self, state: Mouth) -> Array:
        """Points of the sheets with the mouth in this state.  Shape: -> (R, C, 3)"""
        moved_RC3 = self.rest_RC3.copy()
        moved_RC3[self.muscles.first :] += deform.offsets(self.person, self.muscles, state)
        return moved_RC3

    def normals(self, positions_RC3: Array) -> Array:
        """Outward normals of the sheets' points, length 1.  Shape: -> (R, C, 3)"""
        first = (
            self.muscles.first - 1
        )  # a normal depends on the rows above and below, so the first row of the slice has no valid one
        out_RC3 = self._rest_normals_RC3.copy()
        out_RC3[first:] = self._sheet_normals(positions_RC3, first - 1)[1:]
        return out_RC3

    def colours(self, blink: float, gaze: tuple[float, float]) -> Array:
        """Colours of the sheets' points, eyes painted in.  Shape: -> (R, C, 3)"""
        colour_RC3 = self.colour_RC3.copy()
        for eye in self.eyes:
            at = eye.rows_N, eye.columns_N
            colour_RC3[at] = eyes.paint(self.person, eye, colour_RC3[at], blink, gaze)
        return colour_RC3

    def _sheet_normals(self, positions_RC3: Array, first: int) -> Array:
        upper, lower = positions_RC3[first : self.grid.num_upper], positions_RC3[self.grid.num_upper :]
        above, below = grid.normals(upper), grid.normals(lower)
        both = above[-1] + below[0]  # beside the mouth the two sheets are one skin, without a crease
        above[-1] += (both - above[-1]) * self._closed_C1
        below[0] += (both - below[0]) * self._closed_C1
        out_RC3 = np.concatenate([above, below])
        return out_RC3 / (np.sqrt((out_RC3 * out_RC3).sum(axis=-1, keepdims=True)) + 1e-9)

    def _triangles(self) -> tuple[Array, Array]:
        (num_rows, num_columns), num_upper = self.grid.x_RC.shape, self.grid.num_upper
        upper = grid.triangles(num_upper, num_columns, 0)
        lower = grid.triangles(num_rows - num_upper, num_columns, num_upper * num_columns)
        sizes = [(p.rows, p.columns) for p in self.parts] + [p.points_RC3.shape[:2] for p in self.patches]
        details, first = [], 0
        for rows, columns in sizes:
            details.append(grid.triangles(rows, columns, first))
            first += rows * columns
        return np.concatenate([upper, lower]).astype(np.int32), np.concatenate(details).astype(np.int32)


def _patch_normals(points_RC3: Array) -> Array:
    """Normals of length 1 that point away from the head's axis.  Shape: (R, C, 3) -> (R, C, 3)"""
    across, up = np.gradient(points_RC3, axis=1), -np.gradient(points_RC3, axis=0)
    normal = np.cross(across, up)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-6
    outward = (normal * (points_RC3 - np.array([0, 0, -0.2], np.float32))).sum(axis=-1, keepdims=True)
    return (normal * np.where(outward < 0, -1, 1)).astype(np.float32)
