"""Rendered mouths: heads of tasks/synthetic with the true positions of their 40 lip points.

A rendered head has a different mesh, so each lip point is defined as a position on the lips' border or on the seam
between them, at the share of the mouth's half width that MediaPipe's point has on real closed mouths.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from model import seeds
from model.head_mesh import EYES, INNER, OUTER
from model.lips import LIPS
from tasks.features.face_mesh import HELD, FaceMesh, Mesh, Region, of_this_thread, region_of_mesh
from tasks.lips.examples import Examples, example
from tasks.synthetic import identity, picture, scene
from tasks.synthetic.grid import Grid
from tasks.synthetic.head import Head
from tasks.synthetic.identity import Identity
from tasks.synthetic.mouth import Mouth
from tasks.synthetic.picture import Actor, Pose
from tasks.synthetic.skin import lower_lip_edge, upper_lip_edge

# Shares of the half width, measured on GRID's training speakers: from the left corner along the lower lip to the right
# corner, and back along the upper lip
OUTER_X = (
    -1,
    -0.9,
    -0.77,
    -0.57,
    -0.3,
    0,
    0.3,
    0.57,
    0.77,
    0.9,
    1,
    0.9,
    0.76,
    0.57,
    0.29,
    0,
    -0.29,
    -0.57,
    -0.76,
    -0.9,
)
INNER_X = (
    -0.91, -0.76, -0.63, -0.46, -0.245, 0, 0.245, 0.46, 0.63, 0.76,
    0.91, 0.76, 0.63, 0.46, 0.245, 0, -0.245, -0.46, -0.63, -0.76,
)  # fmt: skip
CORNERS = (0, 10)  # indices in a ring; the points between them are on the lower lip

SIZE_PX, PX_PER_UNIT = 160, 48.0  # as in the embedded corpus; LARGER are factors on both
LARGER = (1.0, 1.4, 1.9)
FRAMES_OF_ONE = 8
CARTOONS, DARK, TURNED, MOST_YAW_DEG = 0.1, 0.1, 0.25, 45.0  # shares; largest angle
AROUND_FACE = 1.7  # side of the first region, relative to the box of the 68 landmarks
FURTHEST = 0.35  # eye distances: a mesh with its lips further off than this is rejected


class Anchors(NamedTuple):
    """For each of N points, the four surface vertices around it and their weights.  Shape: (N, 4) int, (N, 4) float"""

    indices_N4: np.ndarray
    weights_N4: np.ndarray

    def on(self, positions_RC3: np.ndarray) -> np.ndarray:
        """Shape: (R, C, 3) -> (N, 3)"""
        return (positions_RC3.reshape(-1, 3)[self.indices_N4] * self.weights_N4[..., None]).sum(axis=1)


def lip_anchors(head: Head) -> Anchors:
    """The 40 lip points on a head's surface, in the order of model.lips.LIPS."""
    seam = head.person.mouth_y
    outer = [_anchor(head, x, _border(head.person, x, _is_lower(k)), _is_lower(k)) for k, x in enumerate(OUTER_X)]
    inner = [_anchor(head, x, seam, _is_lower(k)) for k, x in enumerate(INNER_X)]
    assert len(outer) == len(OUTER) and len(inner) == len(INNER)
    indices, weights = zip(*outer, *inner, strict=True)
    return Anchors(np.array(indices), np.array(weights, np.float32))


def _is_lower(number: int) -> bool:
    return CORNERS[0] < number < CORNERS[1]


def _border(person: Identity, share: float, lower: bool) -> float:
    x = np.array(share * person.mouth_width)
    return person.mouth_y + float(-lower_lip_edge(person, x) if lower else upper_lip_edge(person, x))


def _anchor(head: Head, share: float, y: float, lower: bool) -> tuple[list[int], list[float]]:
    grid, x = head.grid, share * head.person.mouth_width
    num_rows, num_columns = grid.x_RC.shape
    rows = range(grid.num_upper, num_rows) if lower else range(grid.num_upper)
    row, down = _between(-grid.y_RC[rows.start : rows.stop, 0], -y)
    row += rows.start
    column, right = _column(grid, row + round(down), x)
    corner = row * num_columns + column
    return (
        [corner, corner + 1, corner + num_columns, corner + num_columns + 1],
        [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right],
    )


def _column(grid: Grid, row: int, x: float) -> tuple[int, float]:
    front = np.flatnonzero(np.abs(grid.angle_RC[0]) < np.pi / 2)
    column, right = _between(grid.x_RC[row, front], x)
    return int(front[0]) + column, right


def _between(rising: np.ndarray, value: float) -> tuple[int, float]:
    """Index of the entry before a value, and the fraction of the way to the next, 0 to 1."""
    before = int(np.clip(np.searchsorted(rising, value) - 1, 0, len(rising) - 2))
    step = float(rising[before + 1] - rising[before])
    return before, float(np.clip((value - rising[before]) / step, 0, 1))


def on_film(points_N3: np.ndarray, pose: Pose, px_per_unit: float, size_px: int) -> np.ndarray:
    """Projection of a head's points by the camera of tasks/synthetic/picture.py.  Shape: (N, 3) -> (N, 2) px"""
    offset_3 = np.array([pose.shift_x_px, pose.shift_y_px, 0]) / px_per_unit + np.array([0, picture.LOOK_UP, 0])
    placed_N3 = (points_N3 - picture.PIVOT) @ picture.turn(pose).T + picture.PIVOT + offset_3
    away_N1 = picture.CAMERA_Z - placed_N3[:, 2:]
    return size_px / 2 + px_per_unit * picture.CAMERA_Z * placed_N3[:, :2] * np.array([1, -1]) / away_N1


class Film(NamedTuple):
    """One frame of a rendered head.  Shape: (S, S, 3) uint8, (40, 2) px, (68, 2) px"""

    rgb_SS3: np.ndarray
    lips_402: np.ndarray
    landmarks_682: np.ndarray
    pose: Pose
    mouth: Mouth


def film(seed: int, number: int) -> Iterator[Film]:
    """FRAMES_OF_ONE frames of one person, who is in no corpus; deterministic in the arguments."""
    rng = seeds.generator(seed, "lips", number)
    person = identity.draw(seeds.derive(seed, "lips person", number), cartoon=rng.random() < CARTOONS)
    head, larger, dark = Head(person), float(rng.choice(LARGER)), rng.random() < DARK
    size_px, px_per_unit = int(SIZE_PX * larger), PX_PER_UNIT * larger * rng.uniform(0.85, 1.15)
    take = scene.draw(seeds.derive(seed, "lips take", number), size_px)
    actor, anchors = Actor(head, take, px_per_unit), lip_anchors(head)
    for _ in range(FRAMES_OF_ONE):
        mouth, pose = _mouth(rng), _pose(rng, larger)
        filmed = picture.render(take, [(actor, mouth, pose)], None if person.cartoon else rng)
        rgb_SS3 = _darkened(filmed.rgb_HW3, rng) if dark else filmed.rgb_HW3
        lips_402 = on_film(anchors.on(head.positions(mouth)), pose, px_per_unit, size_px)
        yield Film(rgb_SS3, lips_402, filmed.landmarks[0], pose, mouth)


def meshes(seed: int, start: int, count: int) -> Iterator[tuple[Film, Mesh]]:
    """Frames of people start to start + count - 1 whose mesh matches the face."""
    for number in range(start, start + count):
        for frame in film(seed, number):
            if mesh := _matching_mesh(frame, of_this_thread()):
                yield frame, mesh


def load(seed: int, start: int, count: int) -> Examples:
    """Examples of the mouths that `meshes` yields."""
    pairs = meshes(seed, start, count)
    return Examples.joined([example(frame.rgb_SS3, mesh.points_4683, frame.lips_402) for frame, mesh in pairs])


def _matching_mesh(frame: Film, model: FaceMesh) -> Mesh | None:
    low_2, high_2 = frame.landmarks_682.min(axis=0), frame.landmarks_682.max(axis=0)
    first = model(frame.rgb_SS3, Region((low_2 + high_2) / 2, float((high_2 - low_2).max()) * AROUND_FACE, 0.0))
    mesh = model(frame.rgb_SS3, region_of_mesh(first.points_4683))
    error_px = np.linalg.norm((mesh.points_4683[LIPS, :2] - frame.lips_402).mean(axis=0))
    eye_px = np.linalg.norm(mesh.points_4683[EYES[1]] - mesh.points_4683[EYES[0]])
    return mesh if min(first.score, mesh.score) >= HELD and error_px < FURTHEST * eye_px else None


def _darkened(rgb_SS3: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(rgb_SS3 * rng.uniform(0.2, 0.5) + rng.normal(0, 4, rgb_SS3.shape), 0, 255).astype(np.uint8)


def _mouth(rng: np.random.Generator) -> Mouth:
    """A random mouth: a quarter closed, about half open as in speech, a fifth up to fully open."""
    kind = rng.random()
    opening = 0.0 if kind < 0.25 else max(0.0, rng.normal(0.06, 0.08)) if kind < 0.8 else rng.uniform(0, 0.3)
    return Mouth(
        opening=opening,
        width=rng.uniform(-0.5, 0.8),
        rounding=rng.uniform() if rng.random() < 0.5 else 0.0,
        press=rng.uniform() if opening == 0 else 0.0,
        tuck=rng.uniform() if rng.random() < 0.2 else 0.0,
        tongue=rng.uniform(),
        smile=max(0.0, rng.normal(0, 0.25)),
    )


def _pose(rng: np.random.Generator, larger: float) -> Pose:
    yaw, pitch, roll = (rng.normal(0, deviation) for deviation in (9, 5, 5))
    if rng.random() < TURNED:
        yaw = rng.uniform(-MOST_YAW_DEG, MOST_YAW_DEG)
    shift_x, shift_y = rng.uniform(-6, 6) * larger, rng.uniform(-4, 4) * larger
    return Pose(yaw, pitch, roll, shift_x, shift_y, blink=float(rng.random() < 0.08))
