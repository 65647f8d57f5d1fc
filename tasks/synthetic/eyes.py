"""Eyes, painted on the head's points for each frame: white, iris, pupil, glint, lids, lashes."""

from dataclasses import dataclass

import numpy as np

from tasks.synthetic.curves import Array, bump, over, step
from tasks.synthetic.grid import Grid
from tasks.synthetic.identity import Identity

IRIS, PUPIL = 0.062, 0.026  # radii, head units
WHITE = np.array([0.86, 0.84, 0.82], np.float32)


@dataclass(frozen=True, slots=True)
class Eye:
    """The points around one eye, N of them."""

    rows_N: Array
    columns_N: Array
    dx_N: Array  # from the eye's middle, head units
    dy_N: Array  # the same, upright in a tilted eye


def find(person: Identity, grid: Grid) -> list[Eye]:
    eyes = []
    for side in (-1, 1):
        dx, dy = grid.x_RC - side * person.eye_x, grid.y_RC - person.eye_y
        near = (np.abs(dx) < person.eye_width * 1.35) & (np.abs(dy) < person.eye_height * 2.6) & (grid.front_RC > 0)
        rows, columns = np.nonzero(near)
        dx_N, dy_N = dx[near], dy[near]
        eyes.append(Eye(rows, columns, dx_N, dy_N - person.eye_tilt * dx_N * side))
    return eyes


def paint(person: Identity, eye: Eye, skin_N3: Array, blink: float, gaze: tuple[float, float]) -> Array:
    """The colours of an eye's points, over the skin's.

    blink  0 open .. 1 closed
    gaze   right and up, about -1 .. 1
    Shape: skin_N3 -> (N, 3)
    """
    dx, dy, width, height = eye.dx_N, eye.dy_N, person.eye_width, person.eye_height
    inside = np.abs(dx) < width
    almond = np.clip(1 - (dx / width) ** 2, 0, 1)
    bottom = -height * 0.70 * almond**0.75
    open_top = height * almond**0.65
    top = np.maximum(open_top * (1 - blink * 1.35), bottom)

    lid = step(0.02, 0.0, np.abs(dx) - width) * ((dy > bottom) & (dy < open_top * 1.2 + 0.004))
    skin = over(skin_N3, person.skin_3 * 0.80, lid * 0.35)
    visible = np.minimum(step(-0.012, 0.012, top - dy), step(-0.010, 0.010, dy - bottom)) * inside
    ball = over(skin, _ball(person, dx, dy, top, gaze), visible)
    ball = over(ball, 0.05, 0.80 * bump(dy - top, 0.013) * (np.abs(dx) < width * 1.04))  # lashes
    crease = bump(dy - height * 1.45 * almond**0.5 - 0.012, 0.014) * (np.abs(dx) < width * 1.05)
    under = bump(dy - bottom, 0.010) * inside
    return ball * ((1 - 0.245 * crease) * (1 - 0.30 * under))[:, None]


def _ball(person: Identity, dx: Array, dy: Array, top: Array, gaze: tuple[float, float]) -> Array:
    gaze_x, gaze_y = gaze[0] * 0.05, gaze[1] * 0.03
    radius = np.sqrt((dx - gaze_x) ** 2 + (dy - gaze_y - 0.004) ** 2)
    shade = 1 - 0.28 * (dx / person.eye_width) ** 2 - 0.35 * step(0.03, 0.0, top - dy)  # the upper lid's shadow
    rim = (0.75 + 0.45 * step(0.01, 0.06, radius)) * (1 - 0.6 * step(0.050, 0.064, radius))
    ball = over(WHITE * shade[:, None], person.iris_3 * rim[:, None], step(IRIS + 0.008, IRIS - 0.008, radius))
    ball = over(ball, 0.02, step(PUPIL + 0.008, PUPIL - 0.006, radius))
    return over(ball, 1.0, 0.9 * bump(dx - gaze_x - 0.018, 0.014) * bump(dy - gaze_y - 0.026, 0.014))
