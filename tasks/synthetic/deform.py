"""Deformation of the lower face with the mouth: lips, corners, jaw, and the lips' depth.

All movement is a sum of bumps around the seam of the lips, weighted by `front`, so the back of the head does not move.
"""

from dataclasses import dataclass

import numpy as np

from tasks.synthetic.curves import Array, bump, step
from tasks.synthetic.grid import Grid
from tasks.synthetic.identity import Identity
from tasks.synthetic.mouth import Mouth

TOP = 0.66  # height above the mouth from which nothing moves


@dataclass(frozen=True, slots=True)
class Muscles:
    """Weights that do not depend on the mouth's state, for the rows from `first` down.  Shape: all (R', C)"""

    first: int
    x: Array
    over: Array  # height above the seam
    across_sq: Array  # 0 at the middle, 1 at the corners and outside, squared
    lower: Array  # True on the lower sheet
    moving: Array  # 1 where the face moves, 0 at the back: the grid's `front`
    near: Array  # around the mouth, wide
    band: Array  # around the seam, narrow
    wing: Array  # 1 over the lips' width, with a soft end
    jaw_skin: Array  # share of the jaw's movement that the skin follows, without the lips
    jaw_lip: Array  # 1 at the lower lip, which follows the shape of the opening


def prepare(person: Identity, grid: Grid) -> Muscles:
    mouth_y, width = person.mouth_y, person.mouth_width
    first = int(np.searchsorted(-grid.y_RC[: grid.num_upper, 0], -(mouth_y + TOP)))
    x, y = grid.x_RC[first:], grid.y_RC[first:]
    over = y - mouth_y
    below = step(0, 0.20, -over)
    neck = step(-1.42, -1.02, y)
    return Muscles(
        first=first,
        x=x,
        over=over,
        across_sq=np.clip((x / width) ** 2, 0, 1),
        lower=np.broadcast_to(grid.lower_RC[first:], x.shape),
        moving=grid.front_RC[first:],
        near=bump(over, 0.26) * np.exp(-((x / (2.0 * width)) ** 4)),
        band=bump(over, 0.14),
        wing=np.exp(-((x / width) ** 4)),
        jaw_skin=below * np.exp(-((x / 0.56) ** 4)) * neck,
        jaw_lip=(1 - below) * neck,
    )


def offsets(person: Identity, m: Muscles, mouth: Mouth) -> Array:
    """Movement of the points of the rows from `m.first` down.  Shape: -> (R', C, 3) float32"""
    opening, rounding, smile = max(0.0, mouth.opening), mouth.rounding, mouth.smile
    width, jaw = person.mouth_width, mouth.jaw
    arch = (1 - m.across_sq) ** (0.62 - 0.15 * rounding + 0.12 * max(mouth.width, 0))  # shape of the opening
    raised = (0.22 - 0.10 * rounding) * opening + 0.035 * mouth.tuck + 0.008 * rounding  # the upper lip

    upper_y = raised * arch * m.band - 0.020 * mouth.press * m.wing * bump(m.over - person.lip_upper, 0.05)
    lower_y = 0.03 * mouth.press * m.wing * bump(m.over + person.lip_lower, 0.06)
    lower_y -= jaw * (m.jaw_lip * arch + m.jaw_skin)
    if opening > 0:  # the lower lip makes the rest of the opening
        lower_y -= (opening - raised - jaw) * arch * bump(m.over, 0.16)
    lower_y += 0.030 * mouth.tuck * arch * bump(m.over, 0.10)
    y = np.where(m.lower, lower_y, upper_y)

    x = (0.20 * mouth.width - 0.36 * rounding - 0.05 * mouth.press) * m.x * m.near
    z = 0.13 * rounding * bump(m.x, width * 0.95) * m.band - 0.06 * mouth.press * bump(m.over, 0.05) * m.wing
    z -= 0.085 * mouth.tuck * m.lower * arch * bump(m.over, 0.06) + 0.30 * jaw * m.jaw_skin
    if rounding > 0:  # rounded lips are thicker
        thick = np.where(m.lower, -0.018, 0.012) * rounding
        y += thick * bump(m.x, width * 0.7) * step(0, 0.05, np.abs(m.over)) * bump(m.over, 0.13)
    if smile > 0:  # corners up, out and back
        corner = np.abs(m.x) - width
        y += smile * 0.055 * bump(corner, 0.14) * bump(m.over, 0.16)
        x += smile * 0.04 * np.sign(m.x) * bump(corner, 0.13) * bump(m.over, 0.18)
        z -= 0.05 * smile * bump(corner, 0.1) * bump(m.over, 0.1)
    return np.stack([x * m.moving, y * m.moving * person.height, z * m.moving], axis=-1).astype(np.float32)
