"""The colours of a head at rest: skin with signs of age, brows, lips, beard, hair; and the shine of each point.

Each layer is painted over the earlier ones.
"""

import numpy as np

from tasks.synthetic import hair
from tasks.synthetic.curves import Array, bump, over, smooth_noise, step
from tasks.synthetic.grid import Grid
from tasks.synthetic.identity import Identity


def paint(person: Identity, grid: Grid, cover_RC: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Colours and shine of all points, with hair where `cover_RC` is 1.

    Shape: -> (R, C, 3) float32 RGB in [0, 1], (R, C) float32
    """
    lip_RC = _lips(person, grid)
    skin = _skin(person, grid, rng)
    sparse = np.clip(1 + 0.25 * smooth_noise(rng, cover_RC.shape, 0.7), 0.3, 1.5)
    brow_RC = np.clip(_brows(person, grid) * person.brow_dark * sparse, 0, 1)
    skin = over(skin, person.hair_3 * (0.75 if person.hair_3.mean() < 0.6 else 0.6), brow_RC)
    chapped = 1 + 0.06 * smooth_noise(rng, cover_RC.shape, (3, 0.6))
    skin = over(skin, person.lip_3 * chapped[..., None], 0.9 * lip_RC)
    seam = bump(grid.y_RC - person.mouth_y, 0.014) * bump(grid.x_RC / person.mouth_width, 0.95) * grid.front_RC
    skin = skin * (1 - 0.45 * seam)[..., None]
    if person.beard or person.moustache:
        skin = over(skin, person.hair_3 * 0.8, _stubble(person, grid, rng) * (1 - lip_RC))
    skin = over(skin, hair.colour(person, cover_RC.shape, rng), step(0, 0.6, cover_RC))
    oily = bump(grid.x_RC, 0.08) * bump(grid.y_RC - person.nose_y, 0.1)
    shine = (0.10 + 0.10 * lip_RC + 0.05 * oily) * grid.front_RC * (1 - cover_RC)
    if person.hair != "scarf":
        shine = shine + 0.10 * cover_RC
    return np.clip(skin, 0, 1).astype(np.float32), shine.astype(np.float32)


def upper_lip_edge(person: Identity, x: Array) -> Array:
    """Height of the upper lip's border above the seam.  Shape: any"""
    across = np.clip(np.abs(x) / person.mouth_width, 0, 1)
    return person.lip_upper * (1 - across**2) ** 0.75


def lower_lip_edge(person: Identity, x: Array) -> Array:
    """Depth of the lower lip's border below the seam.  Shape: any"""
    across = np.clip(np.abs(x) / person.mouth_width, 0, 1)
    return person.lip_lower * (1 - across**2.4) ** 0.75


def _skin(person: Identity, grid: Grid, rng: np.random.Generator) -> Array:
    x, y, ax, front = grid.x_RC, grid.y_RC, np.abs(grid.x_RC), grid.front_RC
    tip_y, age = person.nose_y, person.age
    skin = np.ones((*x.shape, 3), np.float32) * person.skin_3
    if not person.cartoon:
        blotches, pores = smooth_noise(rng, x.shape, 7), smooth_noise(rng, x.shape, 0.8)
        skin = skin * (1 + 0.03 * blotches + (0.018 + 0.02 * age) * pores)[..., None]
    flush = (bump(ax - 0.40, 0.17) * bump(y + 0.12, 0.14) + 0.8 * bump(x, 0.10) * bump(y - tip_y, 0.09)) * front
    skin = skin * (1 + flush[..., None] * np.array([0.05, -0.06, -0.05], np.float32))
    for shade in (
        (0.16 + 0.22 * age) * grid.fold_RC,
        0.30  # eye sockets
        * bump(ax - person.eye_x, person.eye_width * 1.25)
        * bump(y - person.eye_y - 0.01, person.eye_height * 1.6),
        (0.10 + 0.18 * age)  # bags under the eyes
        * bump(ax - person.eye_x * 0.95, person.eye_width)
        * bump(y - (person.eye_y - person.eye_height * 1.9), 0.03),
        0.18 * bump(x, 0.17) * bump(y - (tip_y - 0.125), 0.035),  # under the nose
        0.85 * bump(ax - 0.062 * person.nose_width, 0.030) * bump(y - (tip_y - 0.085), 0.022),  # nostrils
        0.25 * bump(x, 0.2) * bump(y - (person.mouth_y - person.lip_lower - 0.06), 0.035),  # under the lower lip
    ):
        skin = skin * (1 - shade * front)[..., None]
    skin = skin * (1 - 0.55 * step(-0.98, -1.12, y) * step(-1.75, -1.2, y))[..., None]  # the jaw's shadow on the neck
    for k in range(int(age * 3)):
        wrinkle = bump(y - (0.58 + 0.11 * k) - 0.02 * np.cos(5 * x), 0.012) * bump(x, 0.35)
        skin = skin * (1 - 0.10 * wrinkle)[..., None]
    return skin


def _brows(person: Identity, grid: Grid) -> Array:
    ax = np.abs(grid.x_RC)
    along = np.clip((ax - 0.12) / 0.36, 0, 1)  # from the nose outwards
    line = person.brow_y - 0.01 + person.brow_arch * np.sin(np.pi * along * 0.9) - 0.02 * along
    brow = bump(grid.y_RC - line, person.brow_width * (1.15 - 0.75 * along))
    return brow * step(0.09, 0.14, ax) * step(0.50, 0.42, ax) * grid.front_RC


def _lips(person: Identity, grid: Grid) -> Array:
    x, over = grid.x_RC, grid.y_RC - person.mouth_y
    dip = 1 - 0.28 * person.lip_bow * bump(x, 0.035)
    peaks = 1 + 0.18 * person.lip_bow * bump(np.abs(x) - 0.065, 0.035)
    upper = upper_lip_edge(person, x / 1.02) * dip * peaks
    lower = lower_lip_edge(person, x / 1.02)
    lips = np.where(over >= 0, step(upper + 0.012, upper - 0.010, over), step(lower + 0.016, lower - 0.012, -over))
    return (lips * (np.abs(x) < person.mouth_width * 1.02) * grid.front_RC).astype(np.float32)


def _stubble(person: Identity, grid: Grid, rng: np.random.Generator) -> Array:
    x, y, ax = grid.x_RC, grid.y_RC, np.abs(grid.x_RC)
    away = np.sqrt((x / 0.75) ** 2 + ((y - 0.05) / 1.35) ** 2) * 0.62  # from the middle of the face
    beard = step(0.30, 0.42, away) * step(-0.12, -0.3, y - 0.55 * np.clip(ax - 0.5, 0, None)) * step(-1.2, -1.02, y)
    beard = beard * np.where(y > person.mouth_y + 0.02, step(0.24, 0.36, ax), 1) * person.beard
    moustache = bump(x, 0.27) * bump(y - (person.mouth_y + person.lip_upper + 0.07), 0.055) * person.moustache
    hairs = np.clip(1 + 0.35 * smooth_noise(rng, x.shape, 0.7), 0, 2)
    return np.clip(np.maximum(beard, moustache) * hairs * grid.front_RC, 0, 0.92)
