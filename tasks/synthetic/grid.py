"""The bare head: two sheets of points wound around the vertical axis, joined at the seam between the lips.

Rows run from the top of the skull down, columns once around from the back over the front to the back; the upper
sheet ends and the lower one begins at the mouth's height, so a mouth opens by moving one away from the other.

Shape letters: R rows of both sheets (the upper one first), C columns
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from tasks.synthetic.curves import Array, bump, smooth_noise, step
from tasks.synthetic.identity import Identity

# Profile of an average head, head units: height, half width there, depth before and behind the axis
PROFILE = np.array([
    (1.41, 0.000, 0.00, 0.00),
    (1.34, 0.320, 0.34, 0.40),
    (1.20, 0.520, 0.56, 0.68),
    (1.00, 0.645, 0.70, 0.88),
    (0.75, 0.700, 0.79, 1.00),
    (0.50, 0.730, 0.83, 1.05),
    (0.20, 0.748, 0.84, 1.03),
    (-0.10, 0.735, 0.85, 0.95),
    (-0.35, 0.690, 0.86, 0.82),
    (-0.55, 0.625, 0.85, 0.70),
    (-0.72, 0.545, 0.83, 0.62),
    (-0.86, 0.440, 0.80, 0.56),
    (-0.95, 0.370, 0.76, 0.52),
    (-1.00, 0.350, 0.66, 0.50),
    (-1.06, 0.360, 0.46, 0.50),
    (-1.12, 0.380, 0.34, 0.50),
    (-1.40, 0.400, 0.30, 0.50),
    (-1.75, 0.550, 0.34, 0.55),
])  # fmt: skip
CHEEK_ROW, JAW_ROWS, CHIN_ROWS = 8, slice(9, 14), slice(11, 14)  # rows that follow the person's jaw and chin
ROUNDNESS = 2.35  # exponent of the cross-section: 2 is an ellipse, more is boxier


@dataclass(frozen=True, slots=True)
class Grid:
    """Rest position of every point (hair not yet added) and what later steps need to know about it."""

    x_RC: Array
    y_RC: Array
    z_RC: Array
    angle_RC: Array  # around the axis, 0 in front, radians
    front_RC: Array  # 1 on the face, 0 behind the cheeks
    fold_RC: Array  # strength of the fold from nose to mouth
    num_upper: int  # rows of the upper sheet

    @property
    def lower_RC(self) -> Array:
        """True on the lower sheet."""
        return np.arange(len(self.x_RC))[:, None] >= self.num_upper


def build(person: Identity, rng: np.random.Generator) -> Grid:
    upper, lower = _rows(person.mouth_y)
    angles = _angles()
    y_RC = np.concatenate([upper, lower]).astype(np.float32)[:, None] * np.ones_like(angles)
    angle_RC = np.ones_like(y_RC) * angles
    side_R1, front_R1, back_R1 = _profile(person, y_RC[:, 0])
    cos_RC, sin_RC = np.cos(angle_RC), np.sin(angle_RC)
    x_RC = side_R1 * np.sign(sin_RC) * np.abs(sin_RC) ** (2 / ROUNDNESS)
    z_RC = np.where(cos_RC > 0, front_R1, back_R1) * np.sign(cos_RC) * np.abs(cos_RC) ** (2 / ROUNDNESS)
    front_RC = step(0.0, 0.5, cos_RC)
    fold_RC = _fold(person, x_RC, y_RC)
    relief_RC = _eye_relief(person, x_RC, y_RC) + _nose_relief(person, x_RC, y_RC) + _mouth_relief(person, x_RC, y_RC)
    relief_RC -= (0.006 + 0.016 * person.age) * fold_RC
    relief_RC += 0.004 * smooth_noise(rng, relief_RC.shape, 6)
    z_RC = z_RC + relief_RC * front_RC
    return Grid(x_RC, y_RC, z_RC.astype(np.float32), angle_RC, front_RC, fold_RC, len(upper))


def triangles(num_rows: int, num_columns: int, first: int) -> Array:
    """Two triangles a cell, counter-clockwise seen from outside.  Shape: -> (N, 3) int, indices from `first` up"""
    index = np.arange(num_rows * num_columns).reshape(num_rows, num_columns) + first
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    halves = [np.stack([a, c, b], -1), np.stack([b, c, d], -1)]
    return np.concatenate([half.reshape(-1, 3) for half in halves])


def normals(sheet_RC3: Array) -> Array:
    """Outward normals of one sheet by central differences, not scaled to length 1.  Shape: (R, C, 3) -> (R, C, 3)"""
    across, down = np.empty_like(sheet_RC3), np.empty_like(sheet_RC3)
    np.subtract(sheet_RC3[:, 2:], sheet_RC3[:, :-2], out=across[:, 1:-1])
    across[:, 0], across[:, -1] = sheet_RC3[:, 1] - sheet_RC3[:, 0], sheet_RC3[:, -1] - sheet_RC3[:, -2]
    np.subtract(sheet_RC3[:-2], sheet_RC3[2:], out=down[1:-1])
    down[0], down[-1] = sheet_RC3[0] - sheet_RC3[1], sheet_RC3[-2] - sheet_RC3[-1]
    out = np.empty_like(sheet_RC3)  # np.cross is four times slower
    for k, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        out[..., k] = across[..., i] * down[..., j] - across[..., j] * down[..., i]
    return out


def _rows(mouth_y: float) -> tuple[Array, Array]:
    """Heights of the rows of both sheets, falling; dense where a face has detail or moves."""
    over, under = mouth_y + 0.16, mouth_y - 0.2
    upper = [(1.40, 1.36, 4), (1.36, 0.5, 26), (0.5, -0.05, 38), (-0.05, over, 17), (over, mouth_y, 15)]
    lower = [(mouth_y, under, 17), (under, -0.92, 12), (-0.92, -1.12, 15), (-1.12, -1.75, 8)]
    sheets = [np.concatenate([np.linspace(*span) for span in sheet]) for sheet in (upper, lower)]
    return np.unique(sheets[0])[::-1], np.unique(sheets[1])[::-1]


def _angles() -> Array:
    """Angles of the columns, dense in front.  Shape: -> (C,)"""
    half = np.concatenate([np.linspace(0, 1.12, 50)[1:], np.linspace(1.12, np.pi, 20)[1:]])
    return np.concatenate([-half[::-1], [0], half]).astype(np.float32)


def _profile(person: Identity, heights_R: Array) -> list[Array]:
    """Half width, depth before and behind the axis, at these heights.  Shape: (R,) -> three of (R, 1)"""
    profile = PROFILE.copy()
    side, front = profile[:, 1], profile[:, 2]
    side[CHEEK_ROW] *= 0.5 + 0.5 * person.jaw
    side[JAW_ROWS] *= person.jaw
    side[CHEEK_ROW - 1] += 0.5 * person.fat
    side[CHEEK_ROW : CHEEK_ROW + 5] += person.fat
    side *= person.width
    front[CHIN_ROWS] *= 0.9 + 0.1 * person.chin
    heights, *columns = profile[::-1].T  # rising, as the interpolator wants them
    return [PchipInterpolator(heights, c)(heights_R).astype(np.float32)[:, None] for c in columns]


def _eye_relief(person: Identity, x: Array, y: Array) -> Array:
    ax, eye_x, eye_y = np.abs(x), person.eye_x, person.eye_y
    ridge = 0.045 * (0.7 if person.female else 1.2) * bump(ax - eye_x, 0.28) * bump(y - person.brow_y, 0.07)
    socket = 0.115 * bump(ax - eye_x * 1.02, 0.20) * bump(y - eye_y - 0.015, 0.105)
    corner = 0.05 * bump(ax - 0.14, 0.07) * bump(y - eye_y - 0.02, 0.1)
    eyeball = 0.070 * bump(ax - eye_x, person.eye_width * 1.05) * bump(y - eye_y, person.eye_height * 1.5)
    cheekbone = (0.045 + person.cheek) * bump(ax - 0.42, 0.2) * bump(y + 0.08, 0.17)
    hollow = 0.03 * bump(ax - 0.40, 0.16) * bump(y + 0.48, 0.18)
    return ridge - socket - corner + eyeball + cheekbone - hollow


def _nose_relief(person: Identity, x: Array, y: Array) -> Array:
    tip_y, wide, top = person.nose_y, person.nose_width, person.eye_y
    along = np.clip((top + 0.10 - y) / (top + 0.10 - tip_y), 0, 1)
    ridge = (0.05 + 0.215 * along**1.25) * bump(x, (0.062 + 0.04 * along) * (0.7 + 0.3 * wide))
    ridge = ridge * step(top + 0.22, top + 0.02, y) * (1 - step(tip_y + 0.03, tip_y - 0.135, y))
    tip = 0.038 * bump(x, 0.085 * wide) * bump(y - tip_y, 0.07)
    wings = 0.105 * bump(np.abs(x) - 0.105 * wide, 0.058) * bump(y - (tip_y - 0.035), 0.062)
    return (ridge + tip) * person.nose_height + wings


def _mouth_relief(person: Identity, x: Array, y: Array) -> Array:
    upper, lower, width = person.lip_upper, person.lip_lower, person.mouth_width
    over = y - person.mouth_y
    inside = np.clip(1 - (x / (width * 1.05)) ** 2, 0, 1) ** 0.7
    muzzle = 0.05 * bump(x, 0.30) * bump(over, 0.22)
    lips = inside * (0.045 * bump(over - upper * 0.55, upper * 0.75) + 0.058 * bump(over + lower * 0.55, lower * 0.75))
    seam = 0.028 * bump(over, 0.016) * bump(x / width, 0.95)
    philtrum = 0.012 * bump(x, 0.03) * bump(over - (upper + 0.06), 0.05)
    groove = 0.035 * bump(x, 0.2) * bump(over + lower + 0.075, 0.05)  # between lip and chin
    chin = 0.06 * person.chin * bump(x, 0.17) * bump(y + 0.87, 0.10)
    return muzzle + lips - seam - philtrum - groove + chin


def _fold(person: Identity, x: Array, y: Array) -> Array:
    mouth_y, tip_y = person.mouth_y, person.nose_y
    line = np.abs(x) - (0.19 + (tip_y - 0.05 - y) * 0.42)
    return bump(line, 0.028) * step(mouth_y - 0.05, mouth_y + 0.1, y) * step(tip_y + 0.02, tip_y - 0.1, y)
